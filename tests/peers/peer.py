#!/usr/bin/env python3
"""A peer in another language, written from docs/wire-format.md alone.

Its channel is on descriptor 0. It answers each question, says which rule a packet breaks, and ends with the channel.
"""

import array
import os
import socket
import struct

HEADER = struct.Struct("<BBHHHQ")
INLINE = 0xFFFFFFFF
MESSAGE, BATCH = 1, 4


class Refused(Exception):
    """A packet that breaks a rule; the name is that of the error in the specification."""


class Incoming:
    """A body being read, and what came with it."""

    def __init__(self, body, blobs, descriptors):
        self.body, self.at = body, 0
        self.blobs, self.descriptors = list(blobs), list(descriptors)

    def take(self, count):
        if count > len(self.body) - self.at:
            raise Refused("Truncated")
        self.at += count
        return self.body[self.at - count : self.at]

    @staticmethod
    def once(slots, index, what):
        if index >= len(slots):
            raise Refused(what + "Index")
        if slots[index] is None:
            raise Refused(what + "Twice")
        taken, slots[index] = slots[index], None
        return taken

    def finish(self):
        if self.at != len(self.body):
            raise Refused("TrailingBytes")
        if any(slot is not None for slot in self.descriptors):
            raise Refused("DescriptorsUnused")
        if any(slot is not None for slot in self.blobs):
            raise Refused("BlobsUnused")


class Outgoing:
    def __init__(self):
        self.body, self.blobs, self.descriptors = bytearray(), [], []


class Number:
    def __init__(self, code):
        self.struct = struct.Struct("<" + code)

    def read(self, packet):
        return self.struct.unpack(packet.take(self.struct.size))[0]

    def write(self, value, packet):
        packet.body += self.struct.pack(value)


U8, U16, U32, U64, I64, F64 = (Number(code) for code in "BHIQqd")


class Bool:
    def read(self, packet):
        byte = U8.read(packet)
        if byte > 1:
            raise Refused("Invalid")
        return byte == 1

    def write(self, value, packet):
        U8.write(int(value), packet)


class Char:
    def read(self, packet):
        first = packet.take(1)
        width = 1 if first[0] < 0x80 else 2 if first[0] < 0xE0 else 3 if first[0] < 0xF0 else 4
        try:
            return (first + packet.take(width - 1)).decode()
        except UnicodeDecodeError:
            raise Refused("Invalid")

    def write(self, value, packet):
        packet.body += value.encode()


class Path:
    def read(self, packet):
        return packet.take(U64.read(packet))

    def write(self, value, packet):
        U64.write(len(value), packet)
        packet.body += value


class String(Path):
    def read(self, packet):
        try:
            return super().read(packet).decode()
        except UnicodeDecodeError:
            raise Refused("Invalid")

    def write(self, value, packet):
        super().write(value.encode(), packet)


class Option:
    def __init__(self, some):
        self.some = some

    def read(self, packet):
        return self.some.read(packet) if Bool().read(packet) else None

    def write(self, value, packet):
        Bool().write(value is not None, packet)
        if value is not None:
            self.some.write(value, packet)


class Vec:
    def __init__(self, element):
        self.element = element

    def read(self, packet):
        # One by one: the count is only what the peer says.
        return [self.element.read(packet) for _ in range(U64.read(packet))]

    def write(self, value, packet):
        U64.write(len(value), packet)
        for element in value:
            self.element.write(element, packet)


class Map(Vec):
    def __init__(self, key, value):
        super().__init__(Fields(key, value))

    def read(self, packet):
        entries = super().read(packet)
        if any(one[0] >= next[0] for one, next in zip(entries, entries[1:])):
            raise Refused("Invalid")
        return dict(entries)

    def write(self, value, packet):
        super().write(sorted(value.items()), packet)


class Fields:
    """A struct, a tuple, or the fields of a variant."""

    def __init__(self, *fields):
        self.fields = fields

    def read(self, packet):
        return tuple(field.read(packet) for field in self.fields)

    def write(self, value, packet):
        for field, part in zip(self.fields, value, strict=True):
            field.write(part, packet)


class Enum:
    def __init__(self, **variants):
        self.variants = list(variants.items())

    def read(self, packet):
        index = U32.read(packet)
        if index >= len(self.variants):
            raise Refused("Invalid")
        name, fields = self.variants[index]
        return name, *fields.read(packet)

    def write(self, value, packet):
        index = [name for name, _ in self.variants].index(value[0])
        U32.write(index, packet)
        self.variants[index][1].write(value[1:], packet)


class Descriptor:
    def read(self, packet):
        return packet.once(packet.descriptors, U32.read(packet), "Descriptor")

    def write(self, value, packet):
        U32.write(len(packet.descriptors), packet)
        packet.descriptors.append(value)


class Bytes:
    def read(self, packet):
        index = U32.read(packet)
        return Path().read(packet) if index == INLINE else packet.once(packet.blobs, index, "Blob")

    def write(self, value, packet):
        if len(value) < 4096 or len(packet.blobs) == 64:
            U32.write(INLINE, packet)
            Path().write(value, packet)
        else:
            U32.write(len(packet.blobs), packet)
            packet.blobs.append(value)


def parts(packet, descriptors, lost):
    """The body and the blobs of a packet, checked in the order of the specification."""
    if len(packet) < HEADER.size:
        raise Refused("ShortHeader")
    if lost:
        raise Refused("FdTableFull")
    version, kind, flags, count, blobs, body = HEADER.unpack_from(packet)
    for wrong, name in (
        (version != 1, "Version"),
        (kind not in (MESSAGE, BATCH), "Kind"),
        (flags != 0, "Flags"),
        (blobs > 64, "BlobCount"),
        (kind == BATCH and (count > 0 or blobs > 0), "NotAlone"),
        (kind == BATCH and body == 0, "EmptyBatch"),
        (count != len(descriptors), "DescriptorCount"),
    ):
        if wrong:
            raise Refused(name)
    payload = packet[HEADER.size :]
    front = body + 8 * blobs
    if front > len(payload):
        raise Refused("ShortBody")
    lengths = struct.unpack_from(f"<{blobs}Q", payload, body)
    if front + sum(lengths) != len(payload):
        raise Refused("ShortBody" if front + sum(lengths) > len(payload) else "LongBody")
    ends = [front + sum(lengths[: index + 1]) for index in range(blobs)]
    return payload[:body], [payload[end - length : end] for end, length in zip(ends, lengths)]


def frames(body):
    """The messages of a batch; what has no end costs the rest."""
    while body:
        if len(body) < 4 or U32.struct.unpack_from(body)[0] > len(body) - 4:
            raise Refused("ShortFrame")
        end = 4 + U32.struct.unpack_from(body)[0]
        yield body[4:end]
        body = body[end:]


def send(channel, message_type, value):
    packet = Outgoing()
    message_type.write(value, packet)
    header = HEADER.pack(1, 1, 0, len(packet.descriptors), len(packet.blobs), len(packet.body))
    table = b"".join(struct.pack("<Q", len(blob)) for blob in packet.blobs)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", packet.descriptors))] if packet.descriptors else []
    channel.sendmsg([header, packet.body, table, *packet.blobs], rights)


def receive(channel):
    """A packet, its descriptors, and whether some were lost; `None` at the end."""
    try:
        packet, control, flags, _ = channel.recvmsg(5 << 20, socket.CMSG_SPACE(253 * 4) + 512, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return receive(channel)
    descriptors = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return (packet, list(descriptors), bool(flags & socket.MSG_CTRUNC)) if packet else None


Question = Enum(
    Sum=Fields(Vec(U32), I64, F64),
    Text=Fields(String(), Char(), Option(String())),
    Read=Fields(Path(), Descriptor()),
    Double=Fields(Bytes(), Bytes()),
    Swap=Fields(Map(String(), I64)),
    Open=Fields(Path()),
)
Answer = Enum(
    Sum=Fields(U64, F64),
    Text=Fields(String(), Char(), Option(String())),
    Contents=Fields(Bytes()),
    Doubled=Fields(Bytes(), Bytes()),
    Swapped=Fields(Map(I64, String())),
    Opened=Fields(Bool(), Descriptor()),
    Refused=Fields(String()),
)


def answer(question):
    match question:
        case ("Sum", numbers, more, real):
            return "Sum", sum(numbers) + more, -real
        case ("Text", text, letter, maybe):
            return "Text", text[::-1], letter.upper(), None if maybe is None else maybe * 2
        case ("Read", path, descriptor):
            with open(descriptor, "rb") as file:
                return "Contents", path + b":" + file.read()
        case ("Double", one, other):
            return "Doubled", one * 2, other * 2
        case ("Swap", pairs):
            return "Swapped", {value: key for key, value in pairs.items()}
        case ("Open", path):
            return "Opened", True, os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def reply_to(channel, body, blobs, descriptors):
    try:
        incoming = Incoming(body, blobs, descriptors)
        question = Question.read(incoming)
        incoming.finish()
        reply = answer(question)
        send(channel, Answer, reply)
        if reply[0] == "Opened":
            os.close(reply[2])
    except Refused as refused:
        refuse(channel, refused, descriptors)


def refuse(channel, refused, descriptors):
    for descriptor in descriptors:
        os.close(descriptor)
    send(channel, Answer, ("Refused", str(refused)))


def main():
    channel = socket.socket(fileno=0)
    while (received := receive(channel)) is not None:
        packet, descriptors, lost = received
        try:
            body, blobs = parts(packet, descriptors, lost)
            if packet[1] == MESSAGE:
                reply_to(channel, body, blobs, descriptors)
            else:
                for message in frames(body):
                    reply_to(channel, message, [], [])
        except Refused as refused:
            refuse(channel, refused, descriptors)


main()

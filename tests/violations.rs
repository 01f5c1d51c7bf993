//! Each rule of `docs/wire-format.md` broken by a bare socket: the exact error, no descriptor lost, and the next good packet still arrives.

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/raw.rs"]
mod raw;
mod support;

use breezeway::testing::{FdLedger, RawPeer, batch_packet, packet};
use breezeway::{
    AdoptFault, Blob, Bytes, Channel, DecodeError, Fault, Limits, Message, ProtocolError, Receiver, RecvError, SendError, SendFault,
    Sender, SharedBytes, TryRecvError, channel,
};
use hostile::{Of, borrowed, decode, encoded, fault, protocol, protocol_error};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU8;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, SystemTime};
use support::{set_limit, some_file};

trials!(
    each_violation_has_its_error,
    every_error_has_a_violation,
    a_packet_at_the_limit_passes_and_one_above_is_refused,
    descriptors_above_the_limit_are_refused_and_closed,
    a_full_descriptor_table_loses_one_message_and_no_descriptor,
    what_is_nested_is_not_touched_above_the_limit,
    a_full_descriptor_table_loses_nothing_that_is_nested,
    nothing_that_a_peer_does_to_a_nested_socket_does_harm,
    refused_sockets_that_were_nested_do_not_linger,
    as_many_descriptors_as_the_kernel_carries,
    an_end_is_a_connected_seqpacket_socket,
    a_field_takes_only_the_kind_of_its_type,
    what_cannot_be_looked_at_is_refused,
    an_end_that_its_sender_holds_up_is_taken_all_the_same,
    options_switched_on_behind_our_back_change_nothing,
    an_empty_packet_is_no_end_while_the_peer_is_there,
    everything_sent_is_received_before_the_end,
    one_message_is_one_packet,
    memory_at_the_limit_passes_and_above_it_is_refused,
    what_a_peer_does_to_its_memory_is_seen_by_nobody,
    nothing_lands_on_closed_standard_streams,
    a_new_last_variant_is_refused_and_the_channel_goes_on,
);

#[derive(Message)]
enum Chain {
    End,
    Link(Box<Chain>),
}

/// The table of violations: for each its rule, and what a receiver says. `check` is run for each.
struct Table {
    peer_file: File,
    /// The names of the errors that came up.
    seen: BTreeSet<String>,
}

impl Table {
    /// A packet that is wrong before its body.
    fn packet(&mut self, rule: &str, bytes: &[u8], descriptors: usize, error: ProtocolError) {
        assert_eq!(protocol_error(bytes, descriptors), Some(error.clone()), "{rule}: the specification, read naively");
        let fault = self.fault::<u32>(rule, bytes, descriptors, &packet(&[1, 2, 3, 4], &[], 0));
        assert!(matches!(&fault, Fault::Protocol(found) if *found == error), "{rule}: {fault:?}");
        self.saw(&error);
    }

    /// A body that is no `T`, and one that is.
    fn body<T: DeserializeOwned>(&mut self, rule: &str, body: &[u8], good: &[u8], error: DecodeError) {
        self.whole::<T>(rule, &packet(body, &[], 0), &packet(good, &[], 0), error);
    }

    fn whole<T: DeserializeOwned>(&mut self, rule: &str, bytes: &[u8], good: &[u8], error: DecodeError) {
        let descriptors = usize::from(bytes[4]);
        assert_eq!(protocol_error(bytes, descriptors), None, "{rule}: the packet itself is right");
        let fault = self.fault::<T>(rule, bytes, descriptors, good);
        assert!(matches!(&fault, Fault::Decode(found) if *found == error), "{rule}, {}: {fault:?}", std::any::type_name::<T>());
        self.saw(&error);
    }

    fn fault<T: DeserializeOwned>(&self, rule: &str, bytes: &[u8], descriptors: usize, good: &[u8]) -> Fault {
        let _ledger = FdLedger::open().unwrap();
        let (peer, receiver) = RawPeer::of_receiver::<T>().unwrap();
        peer.send(bytes, &vec![self.peer_file.as_fd(); descriptors]).unwrap();
        let fault = fault(receiver.try_recv());
        peer.send(good, &vec![self.peer_file.as_fd(); usize::from(good[4])]).unwrap();
        assert!(receiver.try_recv().is_ok(), "{rule}: the next message");
        fault
    }

    fn saw(&mut self, error: &impl std::fmt::Debug) {
        let text = format!("{error:?}");
        self.seen.insert(text.split([' ', '(']).next().unwrap_or_default().to_owned());
    }

    fn run() -> Table {
        let mut table = Table { peer_file: some_file(), seen: BTreeSet::new() };
        table.headers();
        table.values();
        table.indices();
        table.memory();
        table.nested();
        table
    }

    fn headers(&mut self) {
        let good = packet(&[1, 2, 3, 4], &[], 0);
        let with = |position: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[position] = byte;
            bytes
        };
        self.packet("M9", &[], 0, ProtocolError::Empty);
        self.packet("M10", &good[..1], 0, ProtocolError::ShortHeader { expected: 16, found: 1 });
        self.packet("M10", &good[..15], 1, ProtocolError::ShortHeader { expected: 16, found: 15 });
        self.packet("M12", &with(0, 0), 0, ProtocolError::Version { expected: 1, found: 0 });
        self.packet("M12", &with(0, 2), 1, ProtocolError::Version { expected: 1, found: 2 });
        self.packet("M13", &with(1, 0), 0, ProtocolError::Kind { expected: 1, found: 0 });
        self.packet("M13", &with(1, 2), 1, ProtocolError::Kind { expected: 1, found: 2 });
        self.packet("M14", &with(2, 4), 0, ProtocolError::Flags { found: 4 });
        self.packet("M14", &with(2, 0xff), 0, ProtocolError::Flags { found: 0xfc });
        self.packet("M14", &with(3, 0x80), 1, ProtocolError::Flags { found: 0x8000 });
        self.packet("M15", &with(6, 65), 0, ProtocolError::BlobCount { announced: 65, limit: 64 });
        self.packet("M15", &with(7, 0xff), 1, ProtocolError::BlobCount { announced: 0xff00, limit: 64 });
        self.packet("M17", &good, 1, ProtocolError::DescriptorCount { announced: 0, found: 1 });
        self.packet("M17", &with(4, 1), 0, ProtocolError::DescriptorCount { announced: 1, found: 0 });
        self.packet("M17", &with(4, 2), 3, ProtocolError::DescriptorCount { announced: 2, found: 3 });
        self.packet("M17", &with(5, 0xff), 2, ProtocolError::DescriptorCount { announced: 0xff00, found: 2 });
        self.packet("M19", &with(8, 5), 0, ProtocolError::ShortBody { announced: 5, found: 4 });
        self.packet("M19", &good[..19], 0, ProtocolError::ShortBody { announced: 4, found: 3 });
        self.packet("M19", &good[..16], 0, ProtocolError::ShortBody { announced: 4, found: 0 });
        self.packet("M19", &with(15, 0x80), 0, ProtocolError::ShortBody { announced: 0x8000_0000_0000_0004, found: 4 });
        self.packet("M19", &with(6, 1), 0, ProtocolError::ShortBody { announced: 12, found: 4 });
        self.packet("M20", &with(8, 3), 0, ProtocolError::LongBody { announced: 3, found: 4 });
        self.packet("M20", &[good.as_slice(), &[0]].concat(), 0, ProtocolError::LongBody { announced: 4, found: 5 });
        // Lengths that wrap around when they are added up carelessly.
        let header = |blobs: u8, body: u64| [[1, 1, 0, 0, 0, 0, blobs, 0], body.to_le_bytes()].concat();
        let whole = |blobs, body: u64, payload: &[u8]| [header(blobs, body).as_slice(), payload].concat();
        let most = ProtocolError::ShortBody { announced: u64::MAX, found: 16 };
        self.packet("M19", &whole(0, u64::MAX, &[0; 16]), 0, most.clone());
        self.packet("M19", &whole(2, u64::MAX - 15, &[0; 16]), 0, most.clone());
        self.packet("M19", &whole(2, u64::MAX - 7, &[0; 16]), 0, most.clone());
        self.packet("M19", &whole(2, 0, &[0xff; 16]), 0, most);
        let wrapping = [u64::MAX.to_le_bytes(), 1_u64.to_le_bytes()].concat();
        self.packet("M19", &whole(2, 0, &wrapping), 0, ProtocolError::ShortBody { announced: u64::MAX, found: 16 });
        self.packet("M20", &whole(1, 0, &[0; 9]), 0, ProtocolError::LongBody { announced: 8, found: 9 });
        self.packet("M13", &with(1, 6), 0, ProtocolError::Kind { expected: 1, found: 6 });
        // A batch of the numbers 1 and 2.
        let batch = batch_packet(&[&[1, 0, 0, 0], &[2, 0, 0, 0]]);
        let with = |position: usize, byte: u8| {
            let mut bytes = batch.clone();
            bytes[position] = byte;
            bytes
        };
        self.packet("M14", &with(2, 4), 0, ProtocolError::Flags { found: 4 });
        self.packet("M57", &with(2, 2), 0, ProtocolError::EmptyNest);
        self.packet("M61", &with(4, 1), 1, ProtocolError::NotAlone { descriptors: 1, blobs: 0 });
        self.packet("M61", &with(4, 1), 0, ProtocolError::NotAlone { descriptors: 1, blobs: 0 });
        self.packet("M61", &with(6, 2), 0, ProtocolError::NotAlone { descriptors: 0, blobs: 2 });
        self.packet("M17", &batch, 1, ProtocolError::DescriptorCount { announced: 0, found: 1 });
        self.packet("M62", &batch_packet(&[]), 0, ProtocolError::EmptyBatch);
        self.packet("M62", &with(8, 0), 0, ProtocolError::EmptyBatch);
        self.packet("M19", &batch[..31], 0, ProtocolError::ShortBody { announced: 16, found: 15 });
        self.packet("M63", &with(16, 13), 0, ProtocolError::ShortFrame { announced: 17, found: 16 });
        self.packet("M63", &with(19, 0xff), 0, ProtocolError::ShortFrame { announced: 0xff00_0008, found: 16 });
        let cut = [&[1, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], [0; 3].as_slice()].concat();
        self.packet("M63", &cut, 0, ProtocolError::ShortFrame { announced: 4, found: 3 });
        // A part, which is a whole message of its own.
        let part = |offset: u8, total: u8| {
            let head = [[1, 5, 0, 0, 0, 0, 0, 0], [total, 0, 0, 0, 0, 0, 0, 0], [7; 8], [offset, 0, 0, 0, 0, 0, 0, 0]].concat();
            [head.as_slice(), &good].concat()
        };
        let with = |position: usize, byte: u8| {
            let mut bytes = part(0, 20);
            bytes[position] = byte;
            bytes
        };
        self.packet("M14", &with(2, 1), 0, ProtocolError::Flags { found: 1 });
        self.packet("M51", &with(6, 1), 0, ProtocolError::BlobCount { announced: 1, limit: 0 });
        self.packet("M17", &with(4, 1), 0, ProtocolError::DescriptorCount { announced: 1, found: 0 });
        self.packet("M51", &part(0, 20)[..31], 0, ProtocolError::ShortHeader { expected: 32, found: 31 });
        self.packet("M51", &part(0, 15)[..32], 0, ProtocolError::ShortHeader { expected: 16, found: 15 });
        self.packet("M53", &part(1, 21), 0, ProtocolError::Part { expected: 0, found: 1, total: 21 });
        self.packet("M54", &part(0, 19), 0, ProtocolError::Part { expected: 0, found: 0, total: 19 });
        self.packet("M55", &[&with(4, 1)[..8], &part(0, 21)[8..]].concat(), 1, ProtocolError::PartDescriptors { descriptors: 1 });
        self.packet("M12", &with(32, 2), 0, ProtocolError::Version { expected: 1, found: 2 });
        self.packet("M13", &with(33, 4), 0, ProtocolError::Kind { expected: 1, found: 4 });
        self.packet("M20", &with(40, 3), 0, ProtocolError::LongBody { announced: 3, found: 4 });
    }

    fn values(&mut self) {
        let missing = |missing| DecodeError::Truncated { missing };
        let invalid = |expected: &str| DecodeError::Invalid { expected: expected.into() };
        let custom = |text: &str| DecodeError::Custom(text.into());
        let run = |bytes: &[u8]| [(bytes.len() as u64).to_le_bytes().as_slice(), bytes].concat();
        self.body::<u32>("M21", &[1, 2, 3], &[1, 2, 3, 4], missing(1));
        self.body::<Of<u128>>("M21", &[], &[7; 16], missing(16));
        self.body::<String>("M21", &run(b"text")[..11], &run(b"text"), missing(1));
        self.body::<Of<Vec<u16>>>("M21", &[2, 0, 0, 0, 0, 0, 0, 0, 1, 1], &[1, 0, 0, 0, 0, 0, 0, 0, 1, 1], missing(2));
        self.body::<Of<char>>("M21", &[0xe2, 0x82], "€".as_bytes(), missing(1));
        self.body::<u8>("M22", &[1, 2], &[1], DecodeError::TrailingBytes { count: 1 });
        self.body::<()>("M22", &[0; 9], &[], DecodeError::TrailingBytes { count: 9 });
        self.body::<Of<bool>>("M23", &[2], &[1], invalid("a bool (0 or 1)"));
        self.body::<Of<Option<u8>>>("M23", &[2, 0], &[1, 0], invalid("an option (0 or 1)"));
        self.body::<Of<NonZeroU8>>("M23", &[0], &[1], invalid("a nonzero u8"));
        // A byte that only follows others, overlong, a surrogate, beyond the last.
        self.body::<Of<char>>("M24", &[0x80], b"a", invalid("a char"));
        self.body::<Of<char>>("M24", &[0xc0, 0x80], b"a", invalid("a char"));
        self.body::<Of<char>>("M24", &[0xed, 0xa0, 0x80], b"a", invalid("a char"));
        self.body::<Of<char>>("M24", &[0xf4, 0x90, 0x80, 0x80], b"a", invalid("a char"));
        self.body::<Of<String>>("M25", &run(b"\xff"), &run(b"x"), invalid("a string of UTF-8"));
        self.body::<Of<Box<str>>>("M25", &run(b"\xc0\x80"), &run(b"x"), invalid("a string of UTF-8"));
        let nul = CString::new(b"a\0b".to_vec()).unwrap_err().to_string();
        self.body::<Of<CString>>("M25", &run(b"a\0b"), &run(b"ab"), custom(&nul));
        self.body::<Chain>("M26", &[2, 0, 0, 0], &[0; 4], invalid("variant index 0 <= i < 2"));
        self.body::<Chain>("M26", &[0, 0, 0, 1], &[0; 4], invalid("variant index 0 <= i < 2"));
        self.body::<Of<[u8; 3]>>("M27", &run(b"ab"), &run(b"abc"), invalid("3 bytes"));
        self.body::<Of<[u8; 3]>>("M27", &run(b"abcd"), &run(b"abc"), invalid("3 bytes"));
        let (twice, falling, good) = (run(&[5, 5]), run(&[6, 5]), run(&[5, 6]));
        self.body::<Of<BTreeSet<u8>>>("M28", &twice, &good, invalid("a set in ascending order"));
        self.body::<Of<BTreeSet<u8>>>("M28", &falling, &good, invalid("a set in ascending order"));
        self.body::<Of<HashSet<u8>>>("M28", &twice, &falling, invalid("a set with no element twice"));
        let entries = |keys: [u8; 2]| [[2, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[keys[0], 0, keys[1], 0]].concat();
        let good = entries([5, 6]);
        self.body::<Of<BTreeMap<u8, u8>>>("M28", &entries([5, 5]), &good, invalid("a map with keys in ascending order"));
        self.body::<Of<BTreeMap<u8, u8>>>("M28", &entries([6, 5]), &good, invalid("a map with keys in ascending order"));
        self.body::<Of<HashMap<u8, u8>>>("M28", &entries([5, 5]), &entries([6, 5]), invalid("a map with no key twice"));
        let duration = |seconds: u64, nanos: u32| [seconds.to_le_bytes().as_slice(), &nanos.to_le_bytes()].concat();
        let (most, second) = (duration(1, 999_999_999), "a duration's nanoseconds are a second or more");
        self.body::<Of<Duration>>("M29", &duration(1, 1_000_000_000), &most, custom(second));
        self.body::<Of<SystemTime>>("M29", &duration(1, u32::MAX), &most, custom(second));
        self.body::<Of<SystemTime>>("M29", &duration(u64::MAX, 0), &most, custom("a time that the system cannot express"));
        let nested = [[1, 0, 0, 0].repeat(200), vec![0; 4]].concat();
        self.body::<Chain>("M37", &nested, &[0; 4], DecodeError::TooDeep { limit: 128 });
        let units = (1_u64 << 60).to_le_bytes();
        self.body::<Of<Vec<()>>>("M37", &units, &[0; 8], DecodeError::TooExpansive { limit: 64 * 8 + 64 * 1024 });
        // A type that asks what comes next.
        self.body::<Option<serde::de::IgnoredAny>>("types", &[1], &[0], DecodeError::NotSelfDescribing);
        // Its own test needs a small stack: `tests/bounds.rs`.
        self.saw(&DecodeError::StackExhausted);
    }

    fn indices(&mut self) {
        let with = |body: &[u8], descriptors| packet(body, &[], descriptors);
        let index = |indices: &[u32]| indices.iter().flat_map(|index| index.to_le_bytes()).collect::<Vec<u8>>();
        type Two = Of<(File, File)>;
        let good = with(&index(&[1, 0]), 2);
        self.whole::<Two>("M30", &with(&index(&[0, 2]), 2), &good, DecodeError::DescriptorIndex { index: 2, count: 2 });
        self.whole::<Two>("M30", &with(&index(&[u32::MAX, 0]), 2), &good, DecodeError::DescriptorIndex { index: u32::MAX, count: 2 });
        self.whole::<Two>("M30", &with(&index(&[0, 0]), 0), &good, DecodeError::DescriptorIndex { index: 0, count: 0 });
        self.whole::<Two>("M31", &with(&index(&[1, 1]), 2), &good, DecodeError::DescriptorTwice { index: 1 });
        self.whole::<Two>("M32", &with(&index(&[0, 1]), 5), &good, DecodeError::DescriptorsUnused { count: 3 });
        self.whole::<u8>("M32", &with(&[1], 1), &with(&[1], 0), DecodeError::DescriptorsUnused { count: 1 });
        self.whole::<Two>("M22", &with(&index(&[0, 1, 2]), 3), &good, DecodeError::TrailingBytes { count: 4 });
        let end = "a connected unix seqpacket socket";
        let kind = DecodeError::DescriptorKind { index: 1, expected: end, found: "a file" };
        self.whole::<Of<(File, Option<Sender<u8>>)>>("M33", &with(&[0, 0, 0, 0, 1, 1, 0, 0, 0], 2), &with(&[0; 5], 1), kind);
        let blobs = |indices: &[u32], blobs: &[&[u8]]| packet(&index(indices), blobs, 0);
        type TwoBlobs = Of<(Bytes, Bytes)>;
        let good = blobs(&[1, 0], &[b"small", b""]);
        self.whole::<TwoBlobs>("M34", &blobs(&[0, 2], &[b"a", b"b"]), &good, DecodeError::BlobIndex { index: 2, count: 2 });
        self.whole::<TwoBlobs>("M34", &blobs(&[u32::MAX - 1, 0], &[b"a"]), &good, DecodeError::BlobIndex { index: u32::MAX - 1, count: 1 });
        self.whole::<TwoBlobs>("M35", &blobs(&[0, 0], &[b"a", b"b"]), &good, DecodeError::BlobTwice { index: 0 });
        self.whole::<TwoBlobs>("M36", &blobs(&[2, 0], &[b"a", b"b", b"c"]), &good, DecodeError::BlobsUnused { count: 1 });
        self.whole::<TwoBlobs>("M21", &blobs(&[0, u32::MAX], &[b"a"]), &good, DecodeError::Truncated { missing: 8 });
        // Of both, descriptors are named first.
        let both = packet(&index(&[0, 1]), &[b"a", b"b", b"c"], 1);
        self.whole::<TwoBlobs>("M32", &both, &good, DecodeError::DescriptorsUnused { count: 1 });
    }

    /// Messages of which all but the header is in memory.
    fn memory(&mut self) {
        let header = |descriptors: u8, blobs: u8, body: u64| [[1, 1, 1, 0, descriptors, 0, blobs, 0], body.to_le_bytes()].concat();
        let plain = header(0, 0, 4);
        let behind = |bytes: &[u8]| [plain.as_slice(), bytes].concat();
        self.packet("M45", &behind(&[0]), 1, ProtocolError::LongBody { announced: 0, found: 1 });
        self.packet("M45", &behind(&[1, 2, 3, 4]), 0, ProtocolError::LongBody { announced: 0, found: 4 });
        self.packet("M17", &plain, 0, ProtocolError::DescriptorCount { announced: 1, found: 0 });
        self.packet("M17", &plain, 2, ProtocolError::DescriptorCount { announced: 1, found: 2 });
        self.packet("M17", &header(1, 0, 4), 1, ProtocolError::DescriptorCount { announced: 2, found: 1 });
        self.packet("M46", &plain, 1, ProtocolError::NotMemory);
        let whole = raw::memfd(&[1, 2, 3, 4], raw::ALL_SEALS);
        let reopened =
            |options: &mut OpenOptions| -> OwnedFd { options.open(format!("/proc/self/fd/{}", whole.as_raw_fd())).unwrap().into() };
        let huge = raw::memfd_with(libc::MFD_HUGETLB | libc::MFD_ALLOW_SEALING);
        raw::seal(&huge, raw::ALL_SEALS);
        let wrong = [
            ("a pipe", raw::pipe()[0].try_clone().unwrap()),
            ("a socket", UnixDatagram::unbound().unwrap().into()),
            ("a file of a tmpfs", tempfile::tempfile_in("/dev/shm").unwrap().into()),
            ("huge pages", huge.into()),
            ("memory that can only be written", reopened(OpenOptions::new().write(true))),
            ("memory that can only be named", reopened(OpenOptions::new().read(true).custom_flags(libc::O_PATH))),
        ];
        for (name, descriptor) in &wrong {
            // The file of a tmpfs can have no seal but one.
            match self.refused_memory(name, &plain, descriptor) {
                Fault::Protocol(ProtocolError::NotMemory) => {}
                Fault::Protocol(ProtocolError::Seals { found: 1, .. }) if *name == "a file of a tmpfs" => {}
                fault => panic!("M46, {name}: {fault:?}"),
            }
        }
        let expected = raw::ALL_SEALS as u32;
        let future = raw::ALL_SEALS & !libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE;
        let one_missing =
            [libc::F_SEAL_SEAL, libc::F_SEAL_SHRINK, libc::F_SEAL_GROW, libc::F_SEAL_WRITE].map(|seal| raw::ALL_SEALS & !seal);
        for seals in one_missing.into_iter().chain([0, future]) {
            let fault = self.refused_memory("M47", &plain, &raw::memfd(&[1, 2, 3, 4], seals));
            let error = ProtocolError::Seals { expected, found: seals as u32 };
            assert!(matches!(&fault, Fault::Protocol(found) if *found == error), "M47, {seals:#x}: {fault:?}");
            self.saw(&error);
        }
        for (name, memory, found) in sparse() {
            let fault = self.refused_memory(name, &header(0, 0, 3 * 4096), &memory);
            let error = ProtocolError::Sparse { size: 3 * 4096, found };
            assert!(matches!(&fault, Fault::Protocol(found) if *found == error), "M49, {name}: {fault:?}");
            self.saw(&error);
        }
        // The same as the field of a message.
        let shared = |memory: &dyn AsFd, expected| {
            let _ledger = FdLedger::open().unwrap();
            let (peer, receiver) = RawPeer::of_receiver::<Of<(File, SharedBytes)>>().unwrap();
            let send = |memory: &dyn AsFd| {
                peer.send(&packet(&[0, 0, 0, 0, 1, 0, 0, 0], &[], 2), &[self.peer_file.as_fd(), memory.as_fd()]).unwrap();
                receiver.try_recv()
            };
            let error = decode(send(memory));
            assert!(
                matches!(error, DecodeError::DescriptorKind { index: 1, expected: wanted, .. } if wanted == expected),
                "M50: {error:?}"
            );
            assert_eq!(*send(&whole).unwrap().0.1, [1, 2, 3, 4], "the next message");
        };
        for (_, wrong) in wrong.iter().filter(|(name, _)| *name != "a file of a tmpfs") {
            shared(wrong, "memory of ordinary pages that can be read");
        }
        for seals in [0, future].into_iter().chain(one_missing) {
            shared(&raw::memfd(&[1, 2, 3, 4], seals), "memory that is sealed against every change");
        }
        for (_, sparse, _) in sparse() {
            shared(&sparse, "memory of which every page is there");
        }
        // Its own test has a limit of address space: `tests/memory.rs`.
        self.saw(&DecodeError::Unmapped { index: 0, length: 0 });
        // Lengths that do not add up to what the memory holds.
        let lengths = |header: &[u8], bytes: &[u8], error: ProtocolError| {
            let fault = self.refused_memory("M19, M20", header, &raw::memfd(bytes, raw::ALL_SEALS));
            assert!(matches!(&fault, Fault::Protocol(found) if *found == error), "{header:?}: {fault:?}");
        };
        lengths(&plain, &[1, 2, 3], ProtocolError::ShortBody { announced: 4, found: 3 });
        lengths(&plain, &[], ProtocolError::ShortBody { announced: 4, found: 0 });
        lengths(&plain, &[0; 5], ProtocolError::LongBody { announced: 4, found: 5 });
        lengths(&header(0, 1, 0), &[0; 7], ProtocolError::ShortBody { announced: 8, found: 7 });
        lengths(&header(0, 2, u64::MAX - 15), &[0xff; 64], ProtocolError::ShortBody { announced: u64::MAX, found: 64 });
        lengths(&header(0, 1, 0), &[0xff; 64], ProtocolError::ShortBody { announced: u64::MAX, found: 64 });
        // What holds for a body holds for one in memory.
        let (trailing, units) = (raw::memfd(&[1, 2, 3, 4, 5], raw::ALL_SEALS), raw::memfd(&(1_u64 << 60).to_le_bytes(), raw::ALL_SEALS));
        let fault = self.refused_memory("M22", &header(0, 0, 5), &trailing);
        assert!(matches!(fault, Fault::Decode(DecodeError::TrailingBytes { count: 1 })), "{fault:?}");
        let fault = self.refused_memory("M22", &header(0, 0, 8), &units);
        assert!(matches!(fault, Fault::Decode(DecodeError::TrailingBytes { count: 4 })), "{fault:?}");
    }

    /// Messages whose descriptors are in a socket.
    fn nested(&mut self) {
        let with = |flags: u8, count: u8| {
            let mut bytes = packet(&[1, 2, 3, 4], &[], count.into());
            bytes[2] = flags;
            bytes
        };
        self.packet("M57", &with(2, 0), 0, ProtocolError::EmptyNest);
        self.packet("M57", &with(2, 0), 1, ProtocolError::EmptyNest);
        self.packet("M57", &with(3, 0), 2, ProtocolError::EmptyNest);
        self.packet("M17", &with(2, 5), 0, ProtocolError::DescriptorCount { announced: 1, found: 0 });
        self.packet("M17", &with(2, 2), 2, ProtocolError::DescriptorCount { announced: 1, found: 2 });
        self.packet("M17", &with(3, 2)[..16], 1, ProtocolError::DescriptorCount { announced: 2, found: 1 });
        self.packet("M58", &with(2, 1), 1, ProtocolError::NotNested);
        self.packet("M58", &with(3, 2)[..16], 2, ProtocolError::NotNested);
        let file = self.peer_file.try_clone().unwrap();
        let made = |packets: &[(&[u8], usize)]| raw::nested(packets, file.as_fd());
        let closed = |packets: &[(&[u8], usize)]| made(packets).0;
        // What listens and is no seqpacket socket, or is one and does not listen; a listening one that cannot be used.
        let (one, other) = Channel::<u8, u8>::pair().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        for wrong in [
            OwnedFd::try_from(one).unwrap(),
            raw::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET),
            UnixListener::bind(directory.path().join("socket")).unwrap().into(),
            tcp.try_clone().unwrap().into(),
            raw::pipe()[0].try_clone().unwrap(),
            OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/").unwrap().into(),
        ] {
            self.refused_nested("M58", 2, &wrong, ProtocolError::NotNested);
        }
        assert!(TcpStream::connect(tcp.local_addr().unwrap()).is_ok(), "what is no nested socket is left alone");
        drop(other);
        let empty = raw::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET);
        raw::listen(&empty);
        self.refused_nested("M59", 2, &empty, ProtocolError::NestedOpen);
        self.refused_nested("M59", 2, &empty, ProtocolError::NestedOpen);
        for packets in [&[] as &[(&[u8], usize)], &[(&[0], 1)], &[(&[0], 2)], &[(&[0], 1), (&[0], 1)]] {
            let (nested, connection) = made(packets);
            self.refused_nested("M59", 2, &nested, ProtocolError::NestedOpen);
            drop(connection);
        }
        let packet = |descriptors| ProtocolError::NestedPacket { descriptors };
        self.refused_nested("M60", 2, &closed(&[(&[0, 0], 2)]), packet(2));
        self.refused_nested("M60", 2, &closed(&[(&[0; 5000], 1), (&[0], 1)]), packet(1));
        self.refused_nested("M60", 2, &closed(&[(&[0], 1), (&[0], 0), (&[0], 1)]), packet(0));
        self.refused_nested("M60", 2, &closed(&[(&[0], 2), (&[0], 0)]), packet(0));
        self.refused_nested("M9", 2, &closed(&[(&[0], 1), (&[], 1), (&[0], 1)]), ProtocolError::Empty);
        let count = |found| ProtocolError::NestedCount { announced: 2, found };
        self.refused_nested("M65", 2, &closed(&[]), count(0));
        self.refused_nested("M65", 2, &closed(&[(&[0], 1)]), count(1));
        self.refused_nested("M65", 2, &closed(&[(&[0], 3)]), count(3));
        self.refused_nested("M65", 2, &closed(&[(&[0], 253), (&[0], 253)]), count(253));
        self.refused_nested("M65", 2, &closed(&[(&[0], 1), (&[0], 1), (&[0], 1), (&[0, 0], 1)]), count(3));
        // Refused later, for what they came with: they are closed all the same.
        let _ledger = FdLedger::open().unwrap();
        let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
        peer.send(&with(2, 2), &[closed(&[(&[0], 2)]).as_fd()]).unwrap();
        assert_eq!(decode(receiver.try_recv()), DecodeError::DescriptorsUnused { count: 2 });
        peer.send(&with(3, 2)[..16], &[closed(&[(&[0], 2)]).as_fd(), file.as_fd()]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::NotMemory);
        peer.send(&with(2, 2)[..18], &[closed(&[(&[0], 2)]).as_fd()]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::ShortBody { announced: 4, found: 2 });
    }

    /// Sends the socket with a message of so many files, and then one of two files.
    fn refused_nested(&mut self, rule: &str, count: u8, nested: &OwnedFd, error: ProtocolError) {
        let _ledger = FdLedger::open().unwrap();
        let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
        let send = |nested: &OwnedFd| {
            peer.send(&nested_packet(count.into()), &[nested.as_fd()]).unwrap();
            receiver.try_recv()
        };
        assert_eq!(protocol(send(nested)), error, "{rule}");
        let good = raw::nested(&[(&[0], 1), (&[0], 1)], self.peer_file.as_fd()).0;
        assert_eq!(send(&good).unwrap().0.len(), 2, "{rule}: the next message");
        self.saw(&error);
    }

    /// Sends the header with this descriptor to a receiver of numbers, and then a number in memory.
    fn refused_memory(&self, rule: &str, header: &[u8], memory: &impl AsFd) -> Fault {
        let _ledger = FdLedger::open().unwrap();
        let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
        peer.send(header, &[memory.as_fd()]).unwrap();
        let fault = fault(receiver.try_recv());
        let good = raw::memfd(&7_u32.to_le_bytes(), raw::ALL_SEALS);
        peer.send(&[1, 1, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0], &[good.as_fd()]).unwrap();
        assert_eq!(receiver.try_recv().unwrap(), 7, "{rule}: the next message");
        fault
    }
}

/// A message of so many files, which are nested.
fn nested_packet(count: u16) -> Vec<u8> {
    let body: Vec<u8> = u64::from(count).to_le_bytes().into_iter().chain((0..u32::from(count)).flat_map(u32::to_le_bytes)).collect();
    let mut bytes = packet(&body, &[], count);
    bytes[2] = 2;
    bytes
}

/// Sealed memory of three pages, not all of which are there, and the bytes of those that are.
fn sparse() -> Vec<(&'static str, File, u64)> {
    let made = |name, found, make: &dyn Fn(&File)| {
        let memory = raw::memfd_with(libc::MFD_ALLOW_SEALING);
        make(&memory);
        raw::seal(&memory, raw::ALL_SEALS);
        (name, memory, found)
    };
    let write = |memory: &File, pages: usize| std::io::Write::write_all(&mut &*memory, &vec![7; pages * 4096]).unwrap();
    vec![
        made("no page", 0, &|memory| memory.set_len(3 * 4096).unwrap()),
        made("all but the last", 2 * 4096, &|memory| {
            write(memory, 2);
            memory.set_len(3 * 4096).unwrap();
        }),
        made("all but one that was taken out", 2 * 4096, &|memory| {
            write(memory, 3);
            raw::punch_hole(memory, 4096, 4096);
        }),
    ]
}

fn each_violation_has_its_error() {
    Table::run();
}

fn every_error_has_a_violation() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/error/mod.rs")).unwrap();
    let mut known = BTreeSet::new();
    for name in ["ProtocolError", "DecodeError"] {
        let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
        let (variants, _) = rest.split_once("\n}\n").unwrap();
        let variants = variants.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| line.starts_with(char::is_uppercase));
        known.extend(variants.map(|line| line.split([' ', '(', ',']).next().unwrap_or_default().to_owned()));
    }
    assert!(known.len() > 20, "{known:?}");
    assert_eq!(Table::run().seen, known);
}

/// M7, M16
fn a_packet_at_the_limit_passes_and_one_above_is_refused() {
    let ledger = FdLedger::open().unwrap();
    {
        let (peer, receiver) = RawPeer::of_receiver::<Of<(Bytes, Vec<File>)>>().unwrap();
        let receiver = receiver.with_limits(Limits::new().max_message(100));
        let file = some_file();
        let open = FdLedger::open().unwrap();
        // Index, count, table and blob make 100, 101 and 100,000 bytes.
        let with_blob = |length: usize| packet(&[0; 12], &[&vec![7; length]], 0);
        let refused = |bytes: &[u8], descriptors: &[BorrowedFd<'_>]| {
            peer.send(bytes, descriptors).unwrap();
            assert!(matches!(fault(receiver.try_recv()), Fault::TooLarge { limit: 100 }));
            peer.send(&with_blob(80), &[]).unwrap();
            assert_eq!(receiver.try_recv().unwrap().0.0.len(), 80, "the next message");
            open.check().unwrap();
        };
        // What a thread has received before leaves it a larger buffer than this receiver asks for.
        for _ in 0..2 {
            refused(&with_blob(81), &[]);
            refused(&with_blob(100_000), &[]);
            let mut with_files = with_blob(81);
            with_files[4] = 3;
            refused(&with_files, &[file.as_fd(); 3]);
            let (other, large) = RawPeer::of_receiver::<Vec<u8>>().unwrap();
            other.send(&packet(&[8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], &[], 0), &[]).unwrap();
            assert_eq!(large.try_recv().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
        }
        // The header is looked at first (M10 to M15), what it counts afterwards.
        let mut wrong = with_blob(81);
        wrong[0] = 9;
        peer.send(&wrong, &[]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::Version { expected: 1, found: 9 });
        wrong[0] = 1;
        wrong[4] = 1;
        peer.send(&wrong, &[]).unwrap();
        assert!(matches!(fault(receiver.try_recv()), Fault::TooLarge { .. }));
    }
    ledger.check().unwrap();
}

/// M48
fn memory_at_the_limit_passes_and_above_it_is_refused() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<(Bytes, Vec<File>)>>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_message(10_000).max_descriptors(1));
    let file = some_file();
    let open = FdLedger::open().unwrap();
    // Index, count, table and blob.
    let send = |length: usize, files: u8| {
        let body = [[0; 4].as_slice(), &[files, 0, 0, 0, 0, 0, 0, 0], &vec![0; 4 * usize::from(files)]].concat();
        let whole = packet(&body, &[&vec![7; length - body.len() - 8]], files.into());
        let (header, payload) = whole.split_at(16);
        let memory = raw::memfd(payload, raw::ALL_SEALS);
        let mut header = header.to_vec();
        header[2] = 1;
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::repeat_n(file.as_fd(), files.into()).chain([memory.as_fd()]).collect();
        peer.send(&header, &descriptors).unwrap();
        receiver.try_recv()
    };
    for _ in 0..2 {
        assert!(matches!(fault(send(10_001, 0)), Fault::TooLarge { limit: 10_000 }));
        assert!(matches!(fault(send(10_001, 1)), Fault::TooLarge { limit: 10_000 }));
        assert!(matches!(fault(send(1 << 20, 1)), Fault::TooLarge { limit: 10_000 }));
        // The memory is none of the message's descriptors (M18).
        assert!(matches!(fault(send(100, 2)), Fault::TooManyDescriptors { count: 2, limit: 1 }));
        open.check().unwrap();
        let (bytes, files) = send(10_000, 1).unwrap().0;
        assert_eq!((bytes.len(), files.len()), (10_000 - 12 - 4 - 8, 1));
        assert!(bytes.iter().all(|byte| *byte == 7));
    }
    // Memory that would be all of this process's is not even looked at.
    let huge = raw::memfd_with(libc::MFD_ALLOW_SEALING);
    huge.set_len(1 << 46).unwrap();
    raw::seal(&huge, raw::ALL_SEALS);
    peer.send(&[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], &[huge.as_fd()]).unwrap();
    assert!(matches!(fault(receiver.try_recv()), Fault::TooLarge { limit: 10_000 }));
}

/// M47: as long as memory is mapped for writing, the kernel does not seal it against that; sealed, its size and bytes stay.
fn what_a_peer_does_to_its_memory_is_seen_by_nobody() {
    use std::os::unix::fs::FileExt;
    let _ledger = FdLedger::open().unwrap();
    let mapped = raw::memfd_with(libc::MFD_ALLOW_SEALING);
    mapped.set_len(4096).unwrap();
    raw::map_writable(&mapped, 4096);
    let refused = std::panic::catch_unwind(|| raw::seal(&mapped, raw::ALL_SEALS));
    assert!(refused.is_err(), "EBUSY");

    let (peer, receiver) = RawPeer::of_receiver::<Blob>().unwrap();
    let payload = [[0; 4].as_slice(), &100_000_u64.to_le_bytes(), &[7; 100_000]].concat();
    let memory = File::from(raw::memfd(&payload, raw::ALL_SEALS));
    peer.send(&[1, 1, 1, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0], &[memory.as_fd()]).unwrap();
    let blob = receiver.try_recv().unwrap();
    assert!(memory.set_len(0).is_err());
    assert!(memory.write_at(&[8; 100], 50_000).is_err());
    let hole = std::panic::catch_unwind(|| raw::punch_hole(&memory, 0, 4096));
    assert!(hole.is_err(), "EPERM");
    drop((memory, peer));
    assert!(blob.iter().all(|byte| *byte == 7));
    assert_eq!(blob.len(), 100_000);
}

/// M18
fn descriptors_above_the_limit_are_refused_and_closed() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_descriptors(2));
    let file = some_file();
    let open = FdLedger::open().unwrap();
    let files = |count: u32| {
        let body: Vec<u8> = u64::from(count).to_le_bytes().into_iter().chain((0..count).flat_map(u32::to_le_bytes)).collect();
        peer.send(&packet(&body, &[], count as u16), &vec![file.as_fd(); count as usize]).unwrap();
        receiver.try_recv()
    };
    for count in [3, 4, 100, 253] {
        assert!(matches!(fault(files(count)), Fault::TooManyDescriptors { count: found, limit: 2 } if found == count as usize));
        assert_eq!(files(2).unwrap().0.len(), 2);
        open.check().unwrap();
    }
}

/// M4, M6, M11
fn a_full_descriptor_table_loses_one_message_and_no_descriptor() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<[File; 3]>>().unwrap();
    let file = some_file();
    let good = packet(&[0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], &[], 3);
    let mut wrong = good.clone();
    wrong[0] = 9;
    // The limit is for receiving. To `sendmsg` it is how much all tests of this user may have under way.
    let limit = || set_limit(libc::RLIMIT_NOFILE, 64);
    let send = |bytes: &[u8]| {
        support::no_descriptor_limit();
        peer.send(bytes, &[file.as_fd(); 3]).unwrap();
        limit();
    };
    limit();
    for free in 0..3 {
        for pidfd in [false, true] {
            if pidfd && !raw::switch_on(receiver.as_fd(), SO_PASSPIDFD) {
                continue;
            }
            let open = FdLedger::open().unwrap();
            let mut filling: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
            filling.truncate(filling.len() - free);
            send(&good);
            assert!(matches!(fault(receiver.try_recv()), Fault::FdTableFull), "{free} free");
            // Lost descriptors are reported before what is wrong with the header.
            send(&wrong);
            assert!(matches!(fault(receiver.try_recv()), Fault::FdTableFull), "{free} free");
            // As many are free as before.
            let again: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
            assert_eq!(again.len(), free);
            drop((filling, again));
            open.check().unwrap();
            send(&good);
            assert_eq!(receiver.try_recv().unwrap().0.len(), 3, "the next message");
            open.check().unwrap();
        }
    }
}

/// M18: more than the limit is refused before anything is taken out.
fn what_is_nested_is_not_touched_above_the_limit() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let receiver = receiver.with_limits(Limits::new().max_descriptors(2));
    let nested = raw::nested(&[(&[0], 2)], some_file().as_fd()).0;
    let open = FdLedger::open().unwrap();
    for count in [3, 254, u16::MAX] {
        peer.send(&nested_packet(count), &[nested.as_fd()]).unwrap();
        assert!(matches!(fault(receiver.try_recv()), Fault::TooManyDescriptors { count: found, limit: 2 } if found == count.into()));
        open.check().unwrap();
    }
    peer.send(&nested_packet(2), &[nested.as_fd()]).unwrap();
    assert_eq!(receiver.try_recv().unwrap().0.len(), 2, "all of it is there still");
    peer.send(&nested_packet(2), &[nested.as_fd()]).unwrap();
    assert_eq!(protocol(receiver.try_recv()), ProtocolError::NestedOpen, "and then it is not");
}

/// M6: the connection, and each descriptor in it, may be the one too many.
fn a_full_descriptor_table_loses_nothing_that_is_nested() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let file = some_file();
    let limit = || set_limit(libc::RLIMIT_NOFILE, 64);
    for free in 0..6 {
        let send = || {
            support::no_descriptor_limit();
            peer.send(&nested_packet(4), &[raw::nested(&[(&[0], 2), (&[0], 2)], file.as_fd()).0.as_fd()]).unwrap();
            limit();
        };
        limit();
        let open = FdLedger::open().unwrap();
        send();
        let mut filling: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
        filling.truncate(filling.len() - free);
        assert!(matches!(fault(receiver.try_recv()), Fault::FdTableFull), "{free} free");
        let again: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
        assert_eq!(again.len(), free);
        drop((filling, again));
        send();
        assert_eq!(receiver.try_recv().unwrap().0.len(), 4, "the next message");
        open.check().unwrap();
    }
}

/// Options, a shared `O_NONBLOCK`, a name that anybody can connect to, a copy that somebody else receives on.
fn nothing_that_a_peer_does_to_a_nested_socket_does_harm() {
    use breezeway::socket::Socket;
    let ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let file = some_file();
    let options = [libc::SO_PASSCRED, libc::SO_PASSSEC, SO_PASSPIDFD, libc::SO_TIMESTAMP, libc::SO_PEEK_OFF, libc::SO_RCVLOWAT];
    let (listener, connection) = raw::waiting();
    for socket in [listener.as_fd(), connection.as_fd()] {
        assert!(options.iter().filter(|option| raw::switch_on(socket, **option)).count() >= 4, "the options are there");
        support::set_nonblocking(socket);
    }
    for _ in 0..2 {
        connection.send_packet(&[std::io::IoSlice::new(&[0])], &[file.as_fd(); 253]).unwrap();
    }
    drop(connection);
    let receiver = receiver.with_limits(Limits::new().max_descriptors(506));
    let open = FdLedger::open().unwrap();
    peer.send(&nested_packet(506), &[listener.as_fd()]).unwrap();
    assert_eq!(receiver.try_recv().unwrap().0.len(), 506);
    open.check().unwrap();
    // It has been shut down, and refuses the same again at once, blocking or not.
    peer.send(&nested_packet(506), &[listener.as_fd()]).unwrap();
    assert_eq!(protocol(receiver.try_recv()), ProtocolError::NestedOpen);
    drop(open);
    // An end of a pair on which its sender receives, into memory that is not there: whoever else receives would wait for ever.
    if let Some(page) = raw::Unprovided::page() {
        let (one, other) = Channel::<u64, u64>::pair().unwrap();
        one.send(7).unwrap();
        let held = OwnedFd::try_from(other).unwrap();
        page.read_into(held.try_clone().unwrap().into());
        peer.send(&nested_packet(1), &[held.as_fd()]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::NotNested);
        // As would whoever receives on the socket that is nested here; but that one is not to be had.
        let (listener, connection) = raw::nested(&[(&[0], 1)], file.as_fd());
        assert!(Socket::try_from(listener.try_clone().unwrap()).is_err());
        peer.send(&nested_packet(1), &[listener.as_fd()]).unwrap();
        drop(connection);
        assert_eq!(receiver.try_recv().unwrap().0.len(), 1);
        // The thread that receives keeps its copy.
        std::mem::forget(ledger);
    } else {
        println!("skipped in part: this process may not use userfaultfd");
    }
}

/// M4: what was taken out of a socket is closed as what came beside the packet.
fn refused_sockets_that_were_nested_do_not_linger() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<u8>().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Not used by the message; fewer than announced; in a packet that is too long.
    for (bytes, announced) in [(&[0][..], 1), (&[0], 2), (&[0, 0], 1)] {
        // Data that nobody reads, and a wish to wait for it for an hour when closed: longer than the watchdog.
        let lingering = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _accepted = listener.accept().unwrap();
        lingering.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &lingering, &[0; 65536]).is_ok() {}
        support::linger(lingering.as_fd(), 3600);
        let mut message = packet(&[7], &[], announced);
        message[2] = 2;
        peer.send(&message, &[raw::nested(&[(bytes, 1)], lingering.as_fd()).0.as_fd()]).unwrap();
        drop(lingering);
        fault(receiver.try_recv());
    }
}

/// `include/uapi/asm-generic/socket.h`
const SO_PASSPIDFD: libc::c_int = 76;

/// M3, M4, M17
fn as_many_descriptors_as_the_kernel_carries() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let file = some_file();
    let open = FdLedger::open().unwrap();
    let body: Vec<u8> = 253_u64.to_le_bytes().into_iter().chain((0..253_u32).flat_map(u32::to_le_bytes)).collect();
    let all = [file.as_fd(); 253];
    for announced in [0, 1, 252, 254, 509, u16::MAX] {
        peer.send(&packet(&body, &[], announced), &all).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::DescriptorCount { announced: announced.into(), found: 253 });
        open.check().unwrap();
        peer.send(&packet(&body, &[], 253), &all).unwrap();
        let files = receiver.try_recv().unwrap().0;
        assert_eq!(files.len(), 253);
        assert!(files.iter().all(|file| support::is_cloexec(file.as_fd())));
    }
    let above = peer.send(&packet(&body, &[], 254), &[file.as_fd(); 254]);
    assert_eq!(above.unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "not even the raw peer can");
    let (_raw, sender) = RawPeer::of_sender::<Of<Vec<File>>>().unwrap();
    let files = (0..254).map(|_| file.try_clone().unwrap()).collect();
    match sender.send(Of(files)) {
        Err(SendError::Fault(message, SendFault::TooManyDescriptors { count: 254, limit: 253 })) => drop(message),
        result => panic!("{result:?}"),
    }
}

/// M1, M33
fn an_end_is_a_connected_seqpacket_socket() {
    let _ledger = FdLedger::open().unwrap();
    let listener = raw::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET);
    raw::listen(&listener);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let [pipe, _writer] = raw::pipe();
    let (datagram, _other) = UnixDatagram::pair().unwrap();
    let (stream, _peer) = UnixStream::pair().unwrap();
    let path = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let wrong: [(&str, OwnedFd); 11] = [
        ("a file", some_file().into()),
        ("the reading end of a pipe", pipe),
        ("a directory", path.into()),
        ("a listening TCP socket", tcp.into()),
        ("a TCP socket", tcp_stream.into()),
        // Never connected.
        ("a unix seqpacket socket", raw::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET)),
        // Listening.
        ("a unix seqpacket socket", listener),
        ("a unix stream socket", stream.into()),
        ("a unix datagram socket", datagram.into()),
        ("a listening unix stream socket", UnixListener::bind(directory.path().join("socket")).unwrap().into()),
        ("a TCP socket", raw::socket(libc::AF_INET, libc::SOCK_STREAM)),
    ];
    let (theirs, ours) = Channel::<u8, u8>::pair().unwrap();
    let right = OwnedFd::try_from(theirs).unwrap();
    refuses_wrong_ends::<Sender<u8>>(&wrong, &right);
    refuses_wrong_ends::<Receiver<u8>>(&wrong, &right);
    refuses_wrong_ends::<Channel<u8, u8>>(&wrong, &right);
    drop(ours);
    // What a peer that has gone has sent can still be received, so its socket is an end.
    refuses_wrong_ends::<Receiver<u8>>(&[], &right);
}

/// One descriptor of each kind, and what keeps it that.
fn one_of_each() -> (Vec<(&'static str, OwnedFd)>, impl Sized) {
    let directory = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_stream = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let [reader, writer] = raw::pipe();
    let both = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let link = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(link).unwrap();
    let (datagram, other) = UnixDatagram::pair().unwrap();
    let (stream, peer) = UnixStream::pair().unwrap();
    let kinds = vec![
        ("a file", some_file().into()),
        ("a directory", File::open("/").unwrap().into()),
        ("a symbolic link", link.into()),
        ("a character device", File::open("/dev/null").unwrap().into()),
        ("the reading end of a pipe", reader),
        ("the writing end of a pipe", writer),
        ("a pipe that is open for reading and writing", both.into()),
        ("a TCP socket", tcp_stream.into()),
        ("a TCP socket", raw::socket(libc::AF_INET6, libc::SOCK_STREAM)),
        ("a listening TCP socket", tcp.into()),
        ("a UDP socket", raw::socket(libc::AF_INET, libc::SOCK_DGRAM)),
        ("a unix stream socket", stream.into()),
        ("a listening unix stream socket", UnixListener::bind(directory.path().join("socket")).unwrap().into()),
        ("a unix datagram socket", datagram.into()),
        ("a unix seqpacket socket", raw::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET)),
        ("a socket of another kind", raw::socket(libc::AF_NETLINK, libc::SOCK_RAW)),
        ("a file of no type, such as an eventfd", raw::eventfd()),
    ];
    (kinds, (directory, other, peer))
}

/// M33
#[allow(clippy::incompatible_msrv, reason = "tests are built with a current compiler")]
fn a_field_takes_only_the_kind_of_its_type() {
    let _ledger = FdLedger::open().unwrap();
    let (kinds, _kept) = one_of_each();
    let files = ["a file", "a directory", "a symbolic link", "a character device", "a file of no type, such as an eventfd"];
    let pipes = ["the reading end of a pipe", "the writing end of a pipe", "a pipe that is open for reading and writing"];
    takes::<File>(&kinds, "a file that is no socket", &[&files[..], &pipes].concat());
    takes::<UnixStream>(&kinds, "a unix stream socket", &["a unix stream socket"]);
    takes::<UnixListener>(&kinds, "a listening unix stream socket", &["a listening unix stream socket"]);
    takes::<UnixDatagram>(&kinds, "a unix datagram socket", &["a unix datagram socket"]);
    takes::<TcpStream>(&kinds, "a TCP socket", &["a TCP socket"]);
    takes::<TcpListener>(&kinds, "a listening TCP socket", &["a listening TCP socket"]);
    takes::<std::net::UdpSocket>(&kinds, "a UDP socket", &["a UDP socket"]);
    takes::<std::io::PipeReader>(&kinds, "the reading end of a pipe", &[pipes[0], pipes[2]]);
    takes::<std::io::PipeWriter>(&kinds, "the writing end of a pipe", &[pipes[1], pipes[2]]);
    takes::<OwnedFd>(&kinds, "", &kinds.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

/// A field of the type, and an `Fd` of it, take these of the descriptors and refuse the others.
fn takes<T>(kinds: &[(&'static str, OwnedFd)], expected: &'static str, taken: &[&str])
where
    T: breezeway::__private::Field + AsFd + From<OwnedFd>,
{
    taken_by::<Of<T>>(kinds, expected, taken);
    taken_by::<breezeway::Fd<T>>(kinds, expected, taken);
}

fn taken_by<T: DeserializeOwned>(kinds: &[(&'static str, OwnedFd)], expected: &'static str, taken: &[&str]) {
    let (peer, receiver) = RawPeer::of_receiver::<T>().unwrap();
    let open = FdLedger::open().unwrap();
    for (found, descriptor) in kinds {
        peer.send(&packet(&[0; 4], &[], 1), &[descriptor.as_fd()]).unwrap();
        match receiver.try_recv() {
            Ok(_) => assert!(taken.contains(found), "{found} taken for {expected}"),
            Err(TryRecvError::Fault(Fault::Decode(error))) => {
                assert!(!taken.contains(found), "{found} refused: {error}");
                assert_eq!(error, DecodeError::DescriptorKind { index: 0, expected, found });
            }
            Err(error) => panic!("{error:?}"),
        }
        open.check().unwrap();
    }
}

/// In a sandbox that forbids to ask what a descriptor is.
fn what_cannot_be_looked_at_is_refused() {
    let (peer, receiver) = RawPeer::of_receiver::<Of<UnixStream>>().unwrap();
    let (any_peer, any) = RawPeer::of_receiver::<Of<OwnedFd>>().unwrap();
    let (stream, _other) = UnixStream::pair().unwrap();
    support::forbid(libc::SYS_getsockopt, libc::EPERM);
    for peer in [&peer, &any_peer] {
        peer.send(&packet(&[0; 4], &[], 1), &[stream.as_fd()]).unwrap();
    }
    let found = "something that this process may not look at";
    assert_eq!(decode(receiver.try_recv()), DecodeError::DescriptorKind { index: 0, expected: "a unix stream socket", found });
    assert!(any.try_recv().is_ok());
}

/// Who has a copy of a socket can hold up every receive on it, and what else takes the same lock. Taking an end in is none of that.
fn an_end_that_its_sender_holds_up_is_taken_all_the_same() {
    let Some(page) = raw::Unprovided::page() else {
        println!("skipped: an_end_that_its_sender_holds_up_is_taken_all_the_same: this process may not use userfaultfd");
        return;
    };
    let (theirs, ours) = Channel::<u64, u64>::pair().unwrap();
    theirs.send(7).unwrap();
    theirs.send(8).unwrap();
    let held = OwnedFd::try_from(ours).unwrap();
    page.read_into(held.try_clone().unwrap().into());
    let (peer, receiver) = RawPeer::of_receiver::<Of<Sender<u64>>>().unwrap();
    peer.send(&packet(&[0; 4], &[], 1), &[held.as_fd()]).unwrap();
    let end = receiver.try_recv().unwrap().0;
    end.send(9).unwrap();
    assert_eq!(theirs.recv().unwrap(), 9);
}

fn refuses_wrong_ends<E: breezeway::__private::Field + TryFrom<OwnedFd, Error = breezeway::AdoptError>>(
    wrong: &[(&'static str, OwnedFd)],
    right: &OwnedFd,
) {
    let (peer, receiver) = RawPeer::of_receiver::<Of<E>>().unwrap();
    let open = FdLedger::open().unwrap();
    let send = |descriptor: &OwnedFd| {
        peer.send(&packet(&[0; 4], &[], 1), &[descriptor.as_fd()]).unwrap();
        receiver.try_recv()
    };
    for (name, descriptor) in wrong {
        let error = DecodeError::DescriptorKind { index: 0, expected: "a connected unix seqpacket socket", found: name };
        assert_eq!(decode(send(descriptor)), error, "{name}");
        assert!(send(right).is_ok(), "the next message, after {name}");
        open.check().unwrap();
        let given = descriptor.try_clone().unwrap();
        let number = given.as_raw_fd();
        let refused = E::try_from(given).err().unwrap_or_else(|| panic!("{name} was adopted"));
        assert!(matches!(refused.source, AdoptFault::NotASocket | AdoptFault::NotSeqpacket | AdoptFault::NotConnected), "{name}");
        assert_eq!(refused.fd.as_raw_fd(), number, "{name} is given back");
    }
    assert!(send(right).is_ok());
}

/// M5: whoever shares the socket can have the kernel add control messages. They displace no descriptor and leave none behind.
fn options_switched_on_behind_our_back_change_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let file = some_file();
    let body: Vec<u8> = 253_u64.to_le_bytes().into_iter().chain((0..253_u32).flat_map(u32::to_le_bytes)).collect();
    let open = FdLedger::open().unwrap();
    let options = [libc::SO_PASSCRED, libc::SO_PASSSEC, SO_PASSPIDFD, libc::SO_TIMESTAMP, libc::SO_TIMESTAMPNS, libc::SO_TIMESTAMPING];
    let mut on = 0;
    for option in options {
        on += usize::from(raw::switch_on(receiver.as_fd(), option));
        for count in [253, 0] {
            let body = if count == 0 { &[0; 8] } else { body.as_slice() };
            peer.send(&packet(body, &[], count), &vec![file.as_fd(); count.into()]).unwrap();
            assert_eq!(receiver.try_recv().unwrap().0.len(), usize::from(count), "with option {option}");
            open.check().unwrap();
        }
        peer.send(b"short", &[file.as_fd()]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::ShortHeader { expected: 16, found: 5 });
        open.check().unwrap();
    }
    assert!(on >= 4, "the options were there");
    drop(open);
    // Given to somebody else, the socket is as it was made: an end that is adopted starts with them off.
    let adopted = Receiver::<u8>::try_from(OwnedFd::try_from(receiver).unwrap()).unwrap();
    peer.send(&packet(&[7], &[], 0), &[]).unwrap();
    assert_eq!(adopted.try_recv().unwrap(), 7);
}

/// M9
fn an_empty_packet_is_no_end_while_the_peer_is_there() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<u8>().unwrap();
    let file = some_file();
    let open = FdLedger::open().unwrap();
    for descriptors in [0, 1, 253] {
        peer.send(&[], &vec![file.as_fd(); descriptors]).unwrap();
        peer.send(&packet(&[7], &[], 0), &[]).unwrap();
        assert_eq!(protocol(receiver.try_recv()), ProtocolError::Empty);
        assert_eq!(receiver.try_recv().unwrap(), 7);
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
        open.check().unwrap();
    }
    drop(open);
    // What waits behind it is received, whoever is gone.
    peer.send(&[], &[file.as_fd()]).unwrap();
    peer.send(&packet(&[8], &[], 0), &[]).unwrap();
    peer.send(&[], &[file.as_fd()]).unwrap();
    drop(peer);
    assert_eq!(protocol(receiver.try_recv()), ProtocolError::Empty);
    assert_eq!(receiver.recv().unwrap(), 8);
    for _ in 0..3 {
        assert!(matches!(receiver.try_recv(), Err(TryRecvError::Closed)));
    }
}

/// M8
fn everything_sent_is_received_before_the_end() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, channel) = RawPeer::of_channel::<u8, u8>().unwrap();
    // What the peer leaves unread makes the kernel report a reset ahead of what it sent.
    channel.send(1).unwrap();
    let file = some_file();
    peer.send(&packet(&[1], &[], 0), &[]).unwrap();
    peer.send(b"wrong", &[file.as_fd()]).unwrap();
    peer.send(&packet(&[2], &[], 0), &[]).unwrap();
    drop(peer);
    assert_eq!(channel.recv().unwrap(), 1);
    assert!(matches!(channel.recv(), Err(RecvError::Fault(Fault::Protocol(_)))));
    assert_eq!(channel.recv().unwrap(), 2);
    assert!(matches!(channel.recv(), Err(RecvError::Closed)));
}

/// M2, M3
fn one_message_is_one_packet() {
    let _ledger = FdLedger::open().unwrap();
    let (peer, sender) = RawPeer::of_sender::<Of<(Option<File>, Bytes)>>().unwrap();
    for length in [0, 5, 4096, 100_000, 1_000_000] {
        sender.send(Of((None, vec![7; length].into()))).unwrap();
        sender.send(Of((Some(some_file()), vec![7; length].into()))).unwrap();
    }
    drop(sender);
    let mut packets = 0;
    while let Some(packet) = peer.receive().unwrap() {
        assert_eq!(packet.descriptors.len(), packets % 2);
        assert_eq!(protocol_error(&packet.bytes, packets % 2), None);
        packets += 1;
    }
    assert_eq!(packets, 10);
}

/// A process may start with its standard streams closed. No end and nothing that arrives takes their numbers.
fn nothing_lands_on_closed_standard_streams() {
    raw::close_stdio();
    let (peer, receiver) = RawPeer::of_receiver::<Of<Vec<File>>>().unwrap();
    let (sender, end) = channel::<u8>().unwrap();
    let (one, other) = Channel::<u8, u8>::pair().unwrap();
    let file = some_file();
    let body = [[3, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]].concat();
    peer.send(&packet(&body, &[], 3), &[file.as_fd(); 3]).unwrap();
    let files = receiver.try_recv().unwrap().0;
    let ends = [peer.as_fd(), receiver.as_fd(), sender.as_fd(), end.as_fd(), one.as_fd(), other.as_fd()];
    for descriptor in ends.into_iter().chain(files.iter().map(AsFd::as_fd)) {
        assert!(descriptor.as_raw_fd() > 2, "{descriptor:?}");
        assert!(support::is_cloexec(descriptor));
    }
    // The three numbers are free still, but for what the test itself has opened.
    assert_eq!(file.as_raw_fd(), 0);
    assert!(file.try_clone().unwrap().as_raw_fd() > 2);
    let next = some_file();
    assert_eq!(next.as_raw_fd(), 1);
    // Full but for these: a descriptor that can land nowhere else is lost, and nothing with it.
    let limit = || set_limit(libc::RLIMIT_NOFILE, 32);
    let send = |bytes: &[u8], descriptors: &[BorrowedFd<'_>]| {
        support::no_descriptor_limit();
        peer.send(bytes, descriptors).unwrap();
        limit();
    };
    limit();
    let filling: Vec<File> = std::iter::from_fn(|| file.try_clone().ok()).collect();
    drop(next);
    send(&packet(&body, &[], 3), &[file.as_fd(); 3]);
    assert!(matches!(fault(receiver.try_recv()), Fault::FdTableFull));
    send(&packet(&[[1, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0; 4]].concat(), &[], 1), &[file.as_fd()]);
    assert!(matches!(fault(receiver.try_recv()), Fault::FdTableFull));
    drop(filling);
    send(&packet(&body, &[], 3), &[file.as_fd(); 3]);
    assert_eq!(receiver.try_recv().unwrap().0.len(), 3);
}

/// M38
fn a_new_last_variant_is_refused_and_the_channel_goes_on() {
    #[derive(Message)]
    enum Newer {
        #[serde(rename = "Finish")]
        End,
        Link(Box<Newer>),
        Added(File),
    }
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Chain>().unwrap();
    let relay = |message: Newer| {
        let (bytes, descriptors) = encoded(message);
        peer.send(&bytes, &borrowed(&descriptors)).unwrap();
        receiver.try_recv()
    };
    assert_eq!(decode(relay(Newer::Added(some_file()))), DecodeError::Invalid { expected: "variant index 0 <= i < 2".into() });
    assert!(matches!(relay(Newer::Link(Box::new(Newer::End))), Ok(Chain::Link(end)) if matches!(*end, Chain::End)));
}

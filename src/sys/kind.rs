//! What is behind a descriptor. `fstat(2)`; of a pipe also `fcntl(2)`, of a socket `getsockopt(2)`

use super::{check, fd, socket};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    SymbolicLink,
    CharacterDevice,
    BlockDevice,
    PipeReader,
    PipeWriter,
    PipeBoth,
    TcpStream,
    TcpListener,
    UdpSocket,
    UnixStream,
    UnixListener,
    UnixDatagram,
    UnixSeqpacket,
    OtherSocket,
    /// What has no type in the file system: an eventfd, an epoll instance, …
    Anonymous,
    /// The kernel, or a sandbox, does not say.
    Unknown,
}

impl Kind {
    /// One call for what is no pipe and no socket, five at most.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Kind {
        look(fd).unwrap_or(Kind::Unknown)
    }

    pub(crate) fn is_socket(self) -> bool {
        use Kind::{OtherSocket, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSeqpacket, UnixStream};
        matches!(self, TcpStream | TcpListener | UdpSocket | UnixStream | UnixListener | UnixDatagram | UnixSeqpacket | OtherSocket)
    }

    /// As it is called in an error.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::File => "a file",
            Kind::Directory => "a directory",
            Kind::SymbolicLink => "a symbolic link",
            Kind::CharacterDevice => "a character device",
            Kind::BlockDevice => "a block device",
            Kind::PipeReader => "the reading end of a pipe",
            Kind::PipeWriter => "the writing end of a pipe",
            Kind::PipeBoth => "a pipe that is open for reading and writing",
            Kind::TcpStream => "a TCP socket",
            Kind::TcpListener => "a listening TCP socket",
            Kind::UdpSocket => "a UDP socket",
            Kind::UnixStream => "a unix stream socket",
            Kind::UnixListener => "a listening unix stream socket",
            Kind::UnixDatagram => "a unix datagram socket",
            Kind::UnixSeqpacket => "a unix seqpacket socket",
            Kind::OtherSocket => "a socket of another kind",
            Kind::Anonymous => "a file of no type, such as an eventfd",
            Kind::Unknown => "something that this process may not look at",
        }
    }
}

fn look(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    Ok(match fd::status(fd)?.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::SymbolicLink,
        libc::S_IFCHR => Kind::CharacterDevice,
        libc::S_IFBLK => Kind::BlockDevice,
        libc::S_IFIFO => pipe(fd)?,
        libc::S_IFSOCK => socket(fd)?,
        _ => Kind::Anonymous,
    })
}

fn pipe(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    // SAFETY: a plain call on an open descriptor.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    Ok(match flags & libc::O_ACCMODE {
        _ if flags & libc::O_PATH != 0 => Kind::Unknown,
        libc::O_RDONLY => Kind::PipeReader,
        libc::O_WRONLY => Kind::PipeWriter,
        _ => Kind::PipeBoth,
    })
}

fn socket(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    let option = |name| socket::option(fd, name);
    // A socket in the file system, opened with `O_PATH`, is no socket that anything can be done with; the call says so.
    let (family, kind) = (option(libc::SO_DOMAIN)?, option(libc::SO_TYPE)?);
    let listens = || Ok::<_, io::Error>(option(libc::SO_ACCEPTCONN)? != 0);
    Ok(match (family, kind) {
        (libc::AF_UNIX, libc::SOCK_STREAM) => {
            if listens()? {
                Kind::UnixListener
            } else {
                Kind::UnixStream
            }
        }
        (libc::AF_UNIX, libc::SOCK_DGRAM) => Kind::UnixDatagram,
        (libc::AF_UNIX, libc::SOCK_SEQPACKET) => Kind::UnixSeqpacket,
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) if option(libc::SO_PROTOCOL)? == libc::IPPROTO_TCP => {
            if listens()? {
                Kind::TcpListener
            } else {
                Kind::TcpStream
            }
        }
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) if option(libc::SO_PROTOCOL)? == libc::IPPROTO_UDP => Kind::UdpSocket,
        _ => Kind::OtherSocket,
    })
}

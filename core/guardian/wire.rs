//! What a host and a guardian say to each other; compiled into both.
//!
//! Every message is one packet of seven machine words on a `SOCK_SEQPACKET` pair. The command itself, which
//! may be long, travels in a memory file of counted byte strings.

/// The size of every packet.
pub(crate) const PACKET: usize = 56;

/// Where a start failed.
pub(crate) mod step {
    /// Creating the guardian.
    pub(crate) const CLONE: u32 = 1;
    /// Executing the guardian's program.
    pub(crate) const GUARDIAN: u32 = 2;
    /// Reading the command.
    pub(crate) const PAYLOAD: u32 = 3;
    /// Creating the command's process.
    pub(crate) const FORK: u32 = 4;
    /// Entering the working directory.
    pub(crate) const DIRECTORY: u32 = 5;
    /// Executing the command.
    pub(crate) const EXEC: u32 = 6;
    /// Joining the group; the command runs all the same.
    pub(crate) const JOIN: u32 = 7;
}

/// What a host tells a guardian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM to every process of the tree.
    Terminate,
    /// Kill until nothing is left.
    Kill,
    /// One signal to the main process.
    Signal(i32),
    /// Leave, once the tree is empty.
    Quit,
}

/// What a guardian tells its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The guardian runs.
    Hello { pid: u32, start_time: u64 },
    /// The command's process is there and waits to be let go.
    Forked { pid: u32, start_time: u64 },
    /// The command runs.
    Started { pid: u32, start_time: u64, grouped: bool },
    /// The command does not run.
    Failed { step: u32, errno: i32 },
    /// The main process ended with this wait status.
    Exited { status: i32, cpu_us: u64, max_rss_kib: u64 },
    /// This process outlived the main process.
    Leftover { pid: u32, start_time: u64, name: [u8; 16] },
    /// The guardian has no child any more. A child of the tree without a living parent belongs to the
    /// guardian, so nothing of the tree is left.
    Empty { cpu_us: u64 },
}

impl Order {
    pub(crate) fn encode(self) -> [u8; PACKET] {
        match self {
            Order::Terminate => pack([1, 0, 0, 0, 0, 0, 0]),
            Order::Kill => pack([2, 0, 0, 0, 0, 0, 0]),
            Order::Signal(n) => pack([3, n as u64, 0, 0, 0, 0, 0]),
            Order::Quit => pack([4, 0, 0, 0, 0, 0, 0]),
        }
    }

    pub(crate) fn decode(packet: &[u8]) -> Option<Order> {
        let w = unpack(packet)?;
        match w[0] {
            1 => Some(Order::Terminate),
            2 => Some(Order::Kill),
            3 => Some(Order::Signal(w[1] as i32)),
            4 => Some(Order::Quit),
            _ => None,
        }
    }
}

impl News {
    /// Allocates nothing: it is also used between clone and exec.
    pub(crate) fn encode(self) -> [u8; PACKET] {
        match self {
            News::Hello { pid, start_time } => pack([1, pid.into(), start_time, 0, 0, 0, 0]),
            News::Started { pid, start_time, grouped } => {
                pack([2, pid.into(), start_time, grouped.into(), 0, 0, 0])
            }
            News::Failed { step, errno } => pack([3, step.into(), errno as u64, 0, 0, 0, 0]),
            News::Exited { status, cpu_us, max_rss_kib } => {
                pack([4, status as u64, cpu_us, max_rss_kib, 0, 0, 0])
            }
            News::Leftover { pid, start_time, name } => {
                let (a, b) = name.split_at(8);
                pack([5, pid.into(), start_time, word(a), word(b), 0, 0])
            }
            News::Forked { pid, start_time } => pack([7, pid.into(), start_time, 0, 0, 0, 0]),
            News::Empty { cpu_us } => pack([6, cpu_us, 0, 0, 0, 0, 0]),
        }
    }

    pub(crate) fn decode(packet: &[u8]) -> Option<News> {
        let w = unpack(packet)?;
        match w[0] {
            1 => Some(News::Hello { pid: w[1] as u32, start_time: w[2] }),
            2 => Some(News::Started { pid: w[1] as u32, start_time: w[2], grouped: w[3] != 0 }),
            3 => Some(News::Failed { step: w[1] as u32, errno: w[2] as i32 }),
            4 => Some(News::Exited { status: w[1] as i32, cpu_us: w[2], max_rss_kib: w[3] }),
            5 => {
                let mut name = [0; 16];
                name[..8].copy_from_slice(&w[3].to_ne_bytes());
                name[8..].copy_from_slice(&w[4].to_ne_bytes());
                Some(News::Leftover { pid: w[1] as u32, start_time: w[2], name })
            }
            6 => Some(News::Empty { cpu_us: w[1] }),
            7 => Some(News::Forked { pid: w[1] as u32, start_time: w[2] }),
            _ => None,
        }
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut w = [0; 8];
    for (to, from) in w.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_ne_bytes(w)
}

fn pack(words: [u64; 7]) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    for (to, w) in packet.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&w.to_ne_bytes());
    }
    packet
}

fn unpack(packet: &[u8]) -> Option<[u64; 7]> {
    if packet.len() != PACKET {
        return None;
    }
    let mut words = [0; 7];
    for (w, from) in words.iter_mut().zip(packet.chunks_exact(8)) {
        *w = word(from);
    }
    Some(words)
}

/// The command, as the guardian needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    /// The program, then its arguments.
    pub(crate) argv: Vec<Vec<u8>>,
    /// `NAME=value`, the whole environment.
    pub(crate) env: Vec<Vec<u8>>,
    /// The working directory, or none to keep the host's.
    pub(crate) directory: Option<Vec<u8>>,
    /// Directories of the group that the command joins; none without one.
    pub(crate) group: Vec<Vec<u8>>,
    /// Whether the group is of the older kind, with a hierarchy for each controller.
    pub(crate) group_is_v1: bool,
    /// Whether the command gets a process group of its own.
    pub(crate) own_group: bool,
    /// Whether what outlives the main process may stay.
    pub(crate) keep_leftovers: bool,
    /// How long the tree may take to leave when nobody is there to decide.
    pub(crate) grace_ms: u64,
}

impl Payload {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        let flags = u64::from(self.group_is_v1)
            | u64::from(self.own_group) << 1
            | u64::from(self.keep_leftovers) << 2
            | u64::from(self.directory.is_some()) << 3;
        out.extend(flags.to_ne_bytes());
        out.extend(self.grace_ms.to_ne_bytes());
        let directory: Vec<Vec<u8>> = self.directory.iter().cloned().collect();
        for list in [&self.argv, &self.env, &directory, &self.group] {
            out.extend((list.len() as u64).to_ne_bytes());
            for item in list {
                out.extend((item.len() as u64).to_ne_bytes());
                out.extend(item);
            }
        }
        out
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Payload> {
        let flags = take_word(&mut bytes)?;
        let grace_ms = take_word(&mut bytes)?;
        let argv = take_list(&mut bytes)?;
        let env = take_list(&mut bytes)?;
        let directory = take_list(&mut bytes)?.pop();
        let group = take_list(&mut bytes)?;
        Some(Payload {
            argv,
            env,
            directory,
            group,
            group_is_v1: flags & 1 != 0,
            own_group: flags & 2 != 0,
            keep_leftovers: flags & 4 != 0,
            grace_ms,
        })
    }
}

fn take_word(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_at_checked(8)?;
    *bytes = rest;
    Some(word(head))
}

fn take_list(bytes: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = take_word(bytes)?;
    let mut list = Vec::new();
    for _ in 0..count {
        let len = usize::try_from(take_word(bytes)?).ok()?;
        let (item, rest) = bytes.split_at_checked(len)?;
        list.push(item.to_vec());
        *bytes = rest;
    }
    Some(list)
}

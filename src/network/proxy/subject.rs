//! Which socket an event of the epoll set belongs to.

use rustix::event::epoll::EventData;

/// The socket of an event. As a number: its role in the upper half, its index in the lower.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Listener(usize),
    Client(usize),
    Inside(usize),
    Flow(usize),
    FlowTimer,
}

impl Subject {
    pub(super) fn data(self) -> EventData {
        let (role, index) = match self {
            Self::Listener(index) => (0, index),
            Self::Client(index) => (1, index),
            Self::Inside(index) => (2, index),
            Self::Flow(index) => (3, index),
            Self::FlowTimer => (4, 0),
        };
        EventData::new_u64(role << 32 | index as u64)
    }

    pub(super) fn of(data: EventData) -> Self {
        let index = data.u64() as u32 as usize;
        match data.u64() >> 32 {
            0 => Self::Listener(index),
            1 => Self::Client(index),
            2 => Self::Inside(index),
            3 => Self::Flow(index),
            _ => Self::FlowTimer,
        }
    }
}

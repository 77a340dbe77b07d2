//! What a host and a guardian say to each other: orders, news, and the command in its memory file.
#![no_main]

#[allow(dead_code, reason = "the guardian's file; a part of it is under test")]
#[path = "../../core/guardian/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;
use wire::{News, Order, PACKET, Payload};

fuzz_target!(|data: &[u8]| {
    if let Some(order) = Order::decode(data) {
        assert_eq!(data.len(), PACKET);
        assert_eq!(Order::decode(&order.encode()), Some(order));
    }
    if let Some(news) = News::decode(data) {
        assert_eq!(data.len(), PACKET);
        assert_eq!(News::decode(&news.encode()), Some(news));
    }
    if let Some(payload) = Payload::decode(data) {
        assert_eq!(Payload::decode(&payload.encode()).as_ref(), Some(&payload));
    }
    // The other way round: a command made of the same bytes, a word for each line.
    let mut lists = data.split(|b| *b == b'\n').map(<[u8]>::to_vec);
    let flags = lists.next().and_then(|l| l.first().copied()).unwrap_or_default();
    let payload = Payload {
        argv: lists.by_ref().take(4).collect(),
        env: lists.by_ref().take(4).collect(),
        directory: lists.next(),
        group: lists.collect(),
        group_is_v1: flags & 1 != 0,
        own_group: flags & 2 != 0,
        keep_leftovers: flags & 4 != 0,
        grace_ms: u64::from(flags) << 32,
    };
    let encoded = payload.encode();
    assert_eq!(Payload::decode(&encoded).as_ref(), Some(&payload));
    for cut in [0, 1, encoded.len() / 2, encoded.len() - 1] {
        assert_eq!(Payload::decode(&encoded[..cut]), None, "a command cut short at {cut} is none");
    }
});

//! However a client's bytes are cut on their way, they mean the same.

use proptest::prelude::*;

use super::{World, identify, publish, publish_many};

/// One command; `T` stands for the client's topic.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![4 => 1..40_usize, 1 => 3_000..40_000_usize];
    prop_oneof![
        6 => body.prop_map(|size| publish("T", &vec![b'x'; size])),
        2 => (1..5_usize, 1..9_000_usize).prop_map(|(n, size)| publish_many("T", &vec![vec![b'y'; size].as_slice(); n])),
        2 => Just(b"NOP\n".to_vec()),
        2 => Just(identify("{}")),
        1 => Just(identify(r#"{"feature_negotiation":true}"#)),
        1 => Just(b"SUB T ch\n".to_vec()),
        2 => Just(b"FIN 0123456789abcdef\n".to_vec()),
        1 => Just(b"TOUCH 0123456789abcdef\nRDY 0\n".to_vec()),
        1 => Just(b"PUB T\n\0\0\0\0".to_vec()),
        1 => Just(b"MPUB bad/name\n".to_vec()),
    ]
}

fn answers(world: &mut World, pieces: &[&[u8]], all_at_once: bool) -> Vec<String> {
    let client = world.connect(0);
    for piece in pieces {
        world.arrive(client, piece);
        if !all_at_once {
            world.settle();
        }
    }
    world.settle();
    world.frames(client)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_the_bytes_gives_the_same_answers(
        commands in prop::collection::vec(command(), 1..25),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        together in any::<bool>(),
    ) {
        let mut world = World::new(1, &[]);
        let bytes = [b"  V2".as_slice(), &commands.concat()].concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let whole = answers(&mut world, &[&bytes], true);
        prop_assert_eq!(answers(&mut world, &pieces, together), whole);
    }
}

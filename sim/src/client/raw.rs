//! What hostile clients send: half commands, wrong sizes, wrong names, wrong states.

/// One of them; every number is one.
pub fn bytes(which: u64) -> Vec<u8> {
    let size = |text: &str, size: i32| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes
    };
    match which % 20 {
        0 => b"PUB t0".to_vec(),
        1 => size("PUB t0\n", -1),
        2 => size("PUB t0\n", 0),
        3 => size("PUB t0\n", i32::MAX),
        4 => [size("PUB t0\n", 100), b"half".to_vec()].concat(),
        5 => size("MPUB t0\n", 4),
        6 => [size("MPUB t0\n", 8), (-1i32).to_be_bytes().to_vec(), vec![0; 4]].concat(),
        7 => [size("MPUB t0\n", 8), 1i32.to_be_bytes().to_vec(), i32::MAX.to_be_bytes().to_vec()].concat(),
        8 => b"DPUB t0 x\n\0\0\0\x01x".to_vec(),
        9 => b"DPUB t0 99999999999\n\0\0\0\x01x".to_vec(),
        10 => b"SUB t0\n".to_vec(),
        11 => b"SUB t0 bad/name\n".to_vec(),
        12 => b"RDY -1\n".to_vec(),
        13 => b"RDY 99999\n".to_vec(),
        14 => b"FIN short\n".to_vec(),
        15 => b"REQ 0000000000000000 x\n".to_vec(),
        16 => [size("IDENTIFY\n", 5), b"{oops".to_vec()].concat(),
        17 => size("IDENTIFY\n", i32::MAX),
        18 => vec![b'x'; 20_000],
        _ => b"WHAT\n".to_vec(),
    }
}

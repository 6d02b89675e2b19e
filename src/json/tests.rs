use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::text::text_run;
use super::*;

/// The whole document in pieces: what comes out, or the flaw.
fn scan(scanner: Scanner, pieces: &[&[u8]]) -> Result<Vec<u8>, Flaw> {
    let (mut scanner, mut out) = (scanner, Vec::new());
    for piece in pieces {
        scanner.feed(piece, &mut out)?;
    }
    assert_eq!(scanner.kept(), out.len() as u64);
    scanner.finish().map(|()| out)
}

fn whole(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Flaw> {
    scan(Scanner::default(), &[text.as_ref()])
}

fn text(text: &str) -> Result<String, String> {
    whole(text).map(|out| String::from_utf8(out).unwrap()).map_err(|flaw| flaw.to_string())
}

/// Cuts at the given places, taken modulo what is left.
fn cut<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() || sizes.iter().all(|s| *s == 0) {
            break;
        }
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

/// What another parser says. It checks UTF-8 first, because skipped values are not checked for it.
fn accepted_by_serde(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// The rule in its simplest form, for documents known to be good.
fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    let (mut inside, mut escaped, mut out) = (false, false, Vec::new());
    for &b in bytes {
        if inside || !b.is_ascii_whitespace() {
            out.push(b);
        }
        match b {
            b'"' if !escaped => inside = !inside,
            b'\\' if inside && !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    out
}

#[test]
fn all_is_kept_but_whitespace_outside_strings() {
    let kept = r#"{"b":1.50e+01,"a":"x \u00e9\ud800 \/","a":[],"":-0,"é😀":[true,false,null,{}]}"#;
    assert_eq!(text(kept).unwrap(), kept);
    assert_eq!(text(" [ 1 ,\n\t\"a b\" , { \"k\" : [ ] } ]\r\n").unwrap(), r#"[1,"a b",{"k":[]}]"#);
    assert_eq!(text(" 0 ").unwrap(), "0");
    assert_eq!(text("1E400").unwrap(), "1E400");
}

#[test]
fn flaws_say_where_and_what_was_expected() {
    for (input, message) in [
        ("", "the state is empty"),
        (" \n", "the state is empty"),
        ("{} {}", "the state has `{` at byte 3, the end after one JSON value was expected"),
        ("1 2", "the state has `2` at byte 2, the end after one JSON value was expected"),
        ("[1,]", "the state has `]` at byte 3, a JSON value was expected"),
        ("[1", "the state ends at byte 2, `,` or `]` was expected"),
        ("{\"a\"", "the state ends at byte 4, `:` was expected"),
        ("{\"a\":1,}", "the state has `}` at byte 7, a name in quotes was expected"),
        ("{a:1}", "the state has `a` at byte 1, a name in quotes or `}` was expected"),
        ("{\"a\":1]", "the state has `]` at byte 6, `,` or `}` was expected"),
        ("tru", "the state ends at byte 3, `true` was expected"),
        ("nul!", "the state has `!` at byte 3, `null` was expected"),
        ("01", "the state has `1` at byte 1, the end after one JSON value was expected"),
        ("-", "the state ends at byte 1, a digit was expected"),
        ("1.x", "the state has `x` at byte 2, a digit was expected"),
        ("\"a", "the state ends at byte 2, the end of a string was expected"),
        ("\"\\x\"", "the state has `x` at byte 2, one of \" \\ / b f n r t u after the backslash was expected"),
        ("\"\\u12g4\"", "the state has `g` at byte 5, a hexadecimal digit was expected"),
        ("\"a\nb\"", "a string has the control character 0x0a at byte 2"),
        ("\u{feff}{}", "the state begins with a byte order mark"),
        ("\u{fefe}", "the state has byte 0xef at byte 0, a JSON value was expected"),
        (" \u{feff}", "the state has byte 0xef at byte 1, a JSON value was expected"),
        ("hello", "the state has `h` at byte 0, a JSON value was expected"),
    ] {
        assert_eq!(text(input).unwrap_err(), message, "{input:?}");
    }
}

#[test]
fn strings_must_be_utf8() {
    for bytes in [
        &b"\"\xff\""[..],
        b"\"\xc0\x80\"",
        b"\"\xe0\x80\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf5\x80\x80\x80\"",
        b"\"\xc3\"",
    ] {
        let flaw = whole(bytes).unwrap_err();
        assert_eq!(flaw.kind, FlawKind::NotUtf8, "{bytes:?}");
        assert_eq!(Error::from(flaw).kind(), ErrorKind::InvalidState);
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(whole(nested(STATE_DEPTH)).is_ok());
    let flaw = whole(nested(STATE_DEPTH + 1)).unwrap_err();
    assert_eq!(flaw, Flaw { offset: STATE_DEPTH as u64, kind: FlawKind::TooDeep(STATE_DEPTH) });
    // Objects and arrays across the borders of the words that the bits are kept in.
    let mixed = format!("{}1{}", "[{\"a\":".repeat(100), "}]".repeat(100));
    assert!(whole(&mixed).is_ok());
    assert!(whole(mixed.replace("1}]", "1]]")).is_err());
}

#[test]
fn size_is_bounded_by_what_is_kept() {
    let four = Scanner::new(4, 10);
    assert_eq!(scan(four.clone(), &[b" [ 1 2 ", b"] "]).unwrap_err().offset, 5);
    assert_eq!(scan(four.clone(), &[b" [ 12", b"       ] "]).unwrap(), b"[12]");
    let flaw = scan(four, &[b"[  123", b"4]"]).unwrap_err();
    assert_eq!(flaw, Flaw { offset: 6, kind: FlawKind::TooLarge(4) });
    assert_eq!(Error::from(flaw).kind(), ErrorKind::TooLarge);
}

#[test]
fn a_flaw_is_final() {
    let (mut scanner, mut out) = (Scanner::default(), Vec::new());
    let flaw = scanner.feed(b"x", &mut out).unwrap_err();
    assert_eq!(scanner.feed(b"1", &mut out), Err(flaw));
    assert_eq!(scanner.finish(), Err(flaw));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = Vec<u8>> {
    (json(), any::<bool>()).prop_map(|(value, pretty)| {
        if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap()
    })
}

/// Bytes that are likely to turn good JSON into nearly good JSON.
fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        proptest::sample::select(b"{}[]:,\"\\ \n\t019-+.eEutfn/\x00\x1f\xef\xbb\xbf\xc3\xa9\xed\xf0\x80".to_vec()),
        any::<u8>()
    ]
}

#[derive(Clone, Debug)]
enum Mutation {
    Replace(usize, u8),
    Insert(usize, u8),
    Delete(usize),
    Cut(usize),
    Swap(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>;
    prop_oneof![
        (at(), telling_byte()).prop_map(|(at, b)| Mutation::Replace(at, b)),
        (at(), telling_byte()).prop_map(|(at, b)| Mutation::Insert(at, b)),
        at().prop_map(Mutation::Delete),
        at().prop_map(Mutation::Cut),
        at().prop_map(Mutation::Swap),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutations: Vec<Mutation>) -> Vec<u8> {
    for mutation in mutations {
        let len = bytes.len().max(1);
        match mutation {
            Mutation::Insert(at, b) => bytes.insert(at % (bytes.len() + 1), b),
            _ if bytes.is_empty() => {}
            Mutation::Replace(at, b) => bytes[at % len] = b,
            Mutation::Delete(at) => drop(bytes.remove(at % len)),
            Mutation::Cut(at) => bytes.truncate(at % len),
            Mutation::Swap(at) => bytes.swap(at % len, (at / 2) % len),
        }
    }
    bytes
}

/// One document against the other parser, and cut up against itself.
fn agrees(bytes: &[u8], sizes: &[usize]) -> Result<(), TestCaseError> {
    let at_once = whole(bytes);
    prop_assert_eq!(at_once.is_ok(), accepted_by_serde(bytes), "{:?}: {:?}", String::from_utf8_lossy(bytes), at_once);
    prop_assert_eq!(scan(Scanner::default(), &cut(bytes, sizes)), at_once.clone());
    prop_assert_eq!(scan(Scanner::default(), &cut(bytes, &[1])), at_once.clone());
    let max = bytes.len() as u64 / 2;
    prop_assert_eq!(scan(Scanner::new(max, 3), &cut(bytes, sizes)), scan(Scanner::new(max, 3), &[bytes]));
    if let Ok(out) = at_once {
        prop_assert_eq!(&out, &without_blanks(bytes));
        prop_assert_eq!(whole(&out), Ok(out));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn good_documents_are_taken(bytes in document(), sizes in vec(0usize..40, 1..8)) {
        agrees(&bytes, &sizes)?;
        let kept: Value = serde_json::from_slice(&whole(&bytes).unwrap()).unwrap();
        prop_assert_eq!(kept, serde_json::from_slice::<Value>(&bytes).unwrap());
    }

    #[test]
    fn mutated_documents_are_judged_alike(
        bytes in document(), mutations in vec(mutation(), 1..4), sizes in vec(0usize..40, 1..8),
    ) {
        agrees(&mutate(bytes, mutations), &sizes)?;
    }

    #[test]
    fn noise_is_judged_alike(bytes in vec(telling_byte(), 0..24), sizes in vec(0usize..9, 1..8)) {
        agrees(&bytes, &sizes)?;
    }

    #[test]
    fn text_runs_end_where_they_should(text in "\\PC*", end in proptest::sample::select(vec!["", "\"", "\\", "\n", "\x1f"])) {
        let text = text.replace(['"', '\\'], "'");
        let bytes = format!("{text}{end}é").into_bytes();
        let run = if end.is_empty() { bytes.len() } else { text.len() };
        prop_assert_eq!(text_run(&bytes), run);
        // A character cut off is left alone.
        prop_assert_eq!(text_run(&bytes[..bytes.len() - 1]), run.min(bytes.len() - 2));
    }
}

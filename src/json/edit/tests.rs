use proptest::prelude::*;

use super::*;

fn edited(state: Option<&str>, edits: &[&str]) -> Result<Option<String>> {
    let edits: Vec<Edit> = edits.iter().map(|text| Edit::parse(text)).collect::<Result<_>>()?;
    let new = apply(state.map(str::as_bytes), &edits, "2026-11-23T22:00:00.000Z")?;
    Ok(new.map(|bytes| String::from_utf8(bytes).unwrap()))
}

fn good(state: &str, edits: &[&str]) -> String {
    edited(Some(state), edits).unwrap_or_else(|e| panic!("{state} {edits:?}: {e}")).unwrap()
}

fn bad(state: &str, edit: &str) -> Error {
    edited(Some(state), &[edit]).expect_err(edit)
}

#[test]
fn values_are_set_where_the_path_leads() {
    for (state, edit, wanted) in [
        ("{}", "/a=1", r#"{"a":1}"#),
        (r#"{"a":1}"#, "/a=2", r#"{"a":2}"#),
        (r#"{"a":1,"b":2}"#, "/c=3", r#"{"a":1,"b":2,"c":3}"#),
        ("{}", "/a=hello world", r#"{"a":"hello world"}"#),
        ("{}", "/a=", r#"{"a":""}"#),
        ("{}", "/a=\"1\"", r#"{"a":"1"}"#),
        ("{}", "/a= [ 1 , 2 ] ", r#"{"a":[1,2]}"#),
        ("{}", "/a=01", r#"{"a":"01"}"#),
        ("{}", "/a=null", r#"{"a":null}"#),
        ("{}", "/a=b=c", r#"{"a":"b=c"}"#),
        ("{}", "/a/b/c=1", r#"{"a":{"b":{"c":1}}}"#),
        ("{}", "/a/0=1", r#"{"a":{"0":1}}"#),
        ("{}", "/a/-=1", r#"{"a":[1]}"#),
        ("{}", "/a/-/b=1", r#"{"a":[{"b":1}]}"#),
        ("[1,2]", "/-=3", "[1,2,3]"),
        ("[1,2]", "/2=3", "[1,2,3]"),
        ("[1,2]", "/0=3", "[3,2]"),
        ("[[1],[2]]", "/1/0=3", "[[1],[3]]"),
        (r#"{"a":{"b":1}}"#, "/a=1", r#"{"a":1}"#),
        ("{}", "/=1", r#"{"":1}"#),
        ("{}", "/a~1b~0c=1", r#"{"a/b~c":1}"#),
        (r#"{"a\/b":1}"#, "/a~1b=2", r#"{"a\/b":2}"#),
        (r#"{"\u0061":1}"#, "/a=2", r#"{"\u0061":2}"#),
        (r#"{"\ud800":1}"#, "/x=2", r#"{"\ud800":1,"x":2}"#),
        (r#"{"a":"}],\"","b":1}"#, "/b=2", r#"{"a":"}],\"","b":2}"#),
        ("{}", "/\u{e9}=\u{6f22}", "{\"\u{e9}\":\"\u{6f22}\"}"),
        ("{}", "time:/at=NOW", r#"{"at":"2026-11-23T22:00:00.000Z"}"#),
    ] {
        assert_eq!(good(state, &[edit]), wanted, "{state} {edit}");
    }
}

#[test]
fn numbers_are_counted() {
    for (state, edit, wanted) in [
        (r#"{"n":1}"#, "/n++", r#"{"n":2}"#),
        (r#"{"n":1}"#, "/n--", r#"{"n":0}"#),
        (r#"{"n":1}"#, "/n+=3", r#"{"n":4}"#),
        (r#"{"n":1}"#, "/n-=3", r#"{"n":-2}"#),
        (r#"{"n":1}"#, "/n+=-0.5", r#"{"n":0.5}"#),
        ("{}", "/n++", r#"{"n":1}"#),
        ("{}", "/n--", r#"{"n":-1}"#),
        ("{}", "/n+=1.10", r#"{"n":1.10}"#),
        ("[1]", "/0++", "[2]"),
        ("[1]", "/-++", "[1,1]"),
        ("[1]", "/--=3", "[1,-3]"),
        (r#"{"n":123456789012345678901234567890}"#, "/n++", r#"{"n":123456789012345678901234567891}"#),
        (r#"{"n":0.1}"#, "/n+=0.2", r#"{"n":0.3}"#),
    ] {
        assert_eq!(good(state, &[edit]), wanted, "{state} {edit}");
    }
}

#[test]
fn parts_are_removed() {
    for (state, edit, wanted) in [
        (r#"{"a":1}"#, "rm:/a", "{}"),
        (r#"{"a":1,"b":2,"c":3}"#, "rm:/a", r#"{"b":2,"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, "rm:/b", r#"{"a":1,"c":3}"#),
        (r#"{"a":1,"b":2,"c":3}"#, "rm:/c", r#"{"a":1,"b":2}"#),
        ("[1,2,3]", "rm:/1", "[1,3]"),
        ("[1]", "rm:/0", "[]"),
        (r#"{"a=b":1}"#, "rm:/a=b", "{}"),
        ("{}", "rm:/a/b", "{}"),
        ("[1]", "rm:/7", "[1]"),
        ("[1]", "rm:/-", "[1]"),
    ] {
        assert_eq!(good(state, &[edit]), wanted, "{state} {edit}");
    }
}

#[test]
fn a_state_begins_with_its_first_edit() {
    assert_eq!(edited(None, &["/n++", "/a/b=1"]).unwrap().unwrap(), r#"{"n":1,"a":{"b":1}}"#);
    assert_eq!(edited(None, &["/-=1", "/-=2"]).unwrap().unwrap(), "[1,2]");
    assert_eq!(edited(None, &["rm:/a"]).unwrap(), None);
}

#[test]
fn all_else_stays_as_it_was_sent() {
    let state =
        r#"{"z":1.10,"big":123456789012345678901234567890,"e":1e400,"a":"\u00e9\/","z2":[-0,1E+2],"d":1,"d":2,"n":1}"#;
    let wanted = state.replace("\"n\":1}", "\"n\":2,\"new\":true}");
    assert_eq!(good(state, &["/n++", "/new=true"]), wanted);
    assert_eq!(good(" { \"a\" : 1 } ", &["/a=1"]), r#"{"a":1}"#, "whitespace goes, as in every state");
}

#[test]
fn what_does_not_fit_is_said() {
    for (state, edit, says) in [
        (r#"{"a":"x"}"#, "/a++", "/a is a string, not a number"),
        (r#"{"a":null}"#, "/a++", "/a is null, not a number"),
        (r#"{"a":"x"}"#, "/a/b=1", "/a is a string: nothing can be inside it"),
        ("5", "/a=1", "the state is a number: nothing can be inside it"),
        ("[1]", "/a=1", "the state is an array and \"a\" is no index"),
        ("[1]", "/01=1", "is no index"),
        ("[1]", "/5=1", "the state is an array of 1, it has no place 5"),
        (r#"{"d":1,"d":2}"#, "/d=1", "the name \"d\" stands more than once in the state"),
        (r#"{"n":1e9999}"#, "/n++", "too many digits"),
        ("nonsense", "/a=1", "was expected"),
    ] {
        let e = bad(state, edit);
        assert_eq!(e.kind(), ErrorKind::InvalidState, "{edit}: {e}");
        assert!(e.message().contains(says), "{edit}: {e}");
    }
    let deep = format!("/a{}=1", "/b".repeat(1_000));
    assert!(bad("{}", &deep).message().contains("nests deeper"));
}

#[test]
fn malformed_expressions_are_usage() {
    for text in [
        "",
        "a=1",
        "/a",
        "/n+=x",
        "/n-=\"1\"",
        "/n+=",
        "/a~2=1",
        "/a~=1",
        "rm:a",
        "rm:",
        "time:/a",
        "time:/a=now",
        "time:/a=5",
    ] {
        assert_eq!(Edit::parse(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
    }
    let deep = format!("/a={}{}", "[".repeat(1_001), "]".repeat(1_001));
    assert_eq!(Edit::parse(&deep).unwrap_err().kind(), ErrorKind::Usage, "and no string of brackets");
    for (word, expression) in [("/a", true), ("rm:/a", true), ("time:/a=NOW", true), ("a", false), ("rm:a", false)] {
        assert_eq!(is_expression(word), expression, "{word}");
    }
}

/// A document, as serde_json writes it: small names, so that edits meet them.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        ".{0,6}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-c~/\"\\\\é]{0,2}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place of a document, by its pointer.
fn pointers(value: &serde_json::Value, at: &str, out: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let children: Vec<(String, &serde_json::Value)> = match value {
        serde_json::Value::Object(map) => map.iter().map(|(name, value)| (escaped(name), value)).collect(),
        serde_json::Value::Array(list) => list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => vec![],
    };
    for (name, child) in children {
        let path = format!("{at}/{name}");
        pointers(child, &path, out);
        out.push(path);
    }
}

proptest! {
    /// serde_json's own pointers are the judge: what is set is found there, and nothing else moves.
    #[test]
    fn setting_a_place_changes_that_place_alone(value in document(), which in any::<prop::sample::Index>(), new in document()) {
        let mut places = Vec::new();
        pointers(&value, "", &mut places);
        prop_assume!(!places.is_empty());
        let path = &places[which.index(places.len())];
        prop_assume!(!path.contains('='));
        let edit = Edit { path: path_of(path).unwrap(), what: What::Set(new.to_string().into_bytes()) };
        let made = apply(Some(value.to_string().as_bytes()), &[edit], "").unwrap().unwrap();
        let mut wanted = value.clone();
        *wanted.pointer_mut(path).unwrap() = new;
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&made).unwrap(), wanted);
        // Byte for byte: setting a place to what stands there changes nothing.
        let same = value.pointer(path).unwrap().to_string().into_bytes();
        let edit = Edit { path: path_of(path).unwrap(), what: What::Set(same) };
        prop_assert_eq!(apply(Some(value.to_string().as_bytes()), &[edit], "").unwrap().unwrap(), value.to_string().into_bytes());
    }

    #[test]
    fn removing_a_place_leaves_all_others(value in document(), which in any::<prop::sample::Index>()) {
        let mut places = Vec::new();
        pointers(&value, "", &mut places);
        prop_assume!(!places.is_empty());
        let path = &places[which.index(places.len())];
        let made = apply(Some(value.to_string().as_bytes()), &[Edit { path: path_of(path).unwrap(), what: What::Remove }], "");
        let mut wanted = value.clone();
        let (parent, last) = path.rsplit_once('/').unwrap();
        match wanted.pointer_mut(parent).unwrap() {
            serde_json::Value::Object(map) => drop(map.remove(&last.replace("~1", "/").replace("~0", "~"))),
            serde_json::Value::Array(list) => drop(list.remove(last.parse().unwrap())),
            _ => unreachable!("a scalar has no children"),
        }
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&made.unwrap().unwrap()).unwrap(), wanted);
    }

    #[test]
    fn no_expression_and_no_document_panics(state in "[\\[\\]{}\",:0-9a-c\\\\ .eE+-]{0,24}", edit in "(/[a-c0-9~/-]{0,6})(=|\\+=|-=|\\+\\+|--)[0-9a\\[\\]\",{}:]{0,6}") {
        let state = state.as_bytes();
        if let Ok(edit) = Edit::parse(&edit)
            && let Ok(Some(new)) = apply(Some(state), &[edit], "now")
        {
            // serde_json gives up on exponents that lockd keeps as sent.
            let exponent = state.iter().any(|b| matches!(b, b'e' | b'E'));
            prop_assert!(exponent || serde_json::from_slice::<serde_json::Value>(&new).is_ok());
        }
    }
}

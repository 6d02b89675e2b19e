//! Edits of states: expressions, and what they make of a document. serde_json's own pointers are the judge.

use lockd::json::Scanner;
use lockd::json::edit::{Edit, apply, is_expression};
use serde_json::Value;

use super::split;

const NOW: &str = "2026-11-23T22:00:00.000Z";

/// Expressions, one a line, up to an empty line; then the document. Without an empty line there is no document.
pub fn run(data: &[u8]) {
    let (expressions, document) = split(data, b"\n\n");
    let Ok(expressions) = std::str::from_utf8(expressions) else { return };
    let mut edits = Vec::new();
    for text in expressions.lines().take(8) {
        if let Ok(edit) = Edit::parse(text) {
            assert!(is_expression(text), "{text:?} would be taken for a key");
            edits.push((text, edit));
        }
    }
    for (text, edit) in &edits {
        alone(text, edit, document);
    }
    together(&edits.into_iter().map(|(_, edit)| edit).collect::<Vec<_>>(), document);
}

/// What comes out is a state, compact and within its limits.
fn applied(document: Option<&[u8]>, edits: &[Edit]) -> Option<Option<Vec<u8>>> {
    let made = apply(document, edits, NOW).ok()?;
    if let Some(made) = &made {
        let (mut scanner, mut again) = (Scanner::default(), Vec::new());
        scanner.feed(made, &mut again).expect("what was made is a state");
        scanner.finish().expect("what was made is a state");
        assert_eq!(*made, again, "what was made is compact");
        assert_eq!(apply(Some(made), &[], NOW).unwrap().as_ref(), Some(made));
    }
    Some(made)
}

/// One after the other is the same as together, where each can be applied.
fn together(edits: &[Edit], document: Option<&[u8]>) {
    let together = applied(document, edits);
    let Some(mut state) = applied(document, &[]) else { return };
    for edit in edits {
        match applied(state.as_deref(), std::slice::from_ref(edit)) {
            Some(next) => state = next,
            None => return,
        }
    }
    assert_eq!(together, Some(state));
}

fn alone(text: &str, edit: &Edit, document: Option<&[u8]>) {
    let Some(made) = applied(document, std::slice::from_ref(edit)) else { return };
    let Some((path, value)) = text.split_once('=') else { return };
    let sets = path.starts_with('/') && !path.ends_with(['+', '-']) && !path.split('/').any(|part| part == "-");
    let (true, Some(made)) = (sets, made) else { return };
    assert_eq!(applied(Some(&made), std::slice::from_ref(edit)).flatten().as_ref(), Some(&made), "set twice");
    let (Ok(new), Ok(value)) = (serde_json::from_slice::<Value>(&made), serde_json::from_str::<Value>(value)) else {
        return;
    };
    assert_eq!(new.pointer(path), Some(&value), "{path} is not what was set");
    // Nothing else moves.
    let Some(mut wanted) = document.and_then(|document| serde_json::from_slice::<Value>(document).ok()) else { return };
    if let Some(place) = wanted.pointer_mut(path) {
        *place = value;
        assert_eq!(new, wanted);
    }
}

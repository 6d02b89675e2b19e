//! Edits of a state: set, add, remove and stamp parts of a JSON document, and leave every other byte as it is.
//!
//! An expression is `/path=VALUE`, `/path++`, `/path--`, `/path+=N`, `/path-=N`, `rm:/path` or `time:/path=NOW`, with a path as
//! RFC 6901 has it (`~1` is `/`, `~0` is `~`). The document is cut into spans and never parsed into values, so that numbers keep
//! every digit, strings their escapes, objects their order and repeated names; sums are exact, in decimal.
//!
//! - What is missing on the way is made: an object for a name or a number, an array for `-`.
//! - A number that is missing counts from 0; removing what is missing changes nothing.
//! - In an array a number is an index, the one past the end appends, and so does `-`.
//! - A name that stands twice in an object cannot be meant: an error, as RFC 6901, section 4 says.

use std::ops::Range;

use super::span::{Kind, Span};
use super::{Flaw, FlawKind, Scanner};
use crate::error::{Error, ErrorKind, Result};
use crate::json::decimal::Decimal;

#[cfg(test)]
mod tests;

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    path: Vec<String>,
    what: What,
}

/// What is done to the place that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// This compact JSON stands there now.
    Set(Vec<u8>),
    /// This is added to the number there.
    Add(Decimal),
    /// Nothing stands there any more.
    Remove,
    /// The time stands there.
    Now,
}

/// Whether a word of a command line is an expression and not a key: keys never begin so.
#[must_use]
pub fn is_expression(word: &str) -> bool {
    ["/", "rm:/", "time:/"].iter().any(|start| word.starts_with(start))
}

impl Edit {
    /// Reads an expression. The first `=` ends the path; what follows is JSON where it parses, else a string.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when it is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let made = |path: &str, what| Ok(Self { path: path_of(path).map_err(|why| malformed(text, why))?, what });
        if let Some(path) = text.strip_prefix("rm:") {
            return made(path, What::Remove);
        }
        if let Some(stamp) = text.strip_prefix("time:") {
            return match stamp.split_once('=') {
                Some((path, "NOW")) => made(path, What::Now),
                _ => Err(malformed(text, "write time:/path=NOW")),
            };
        }
        let Some((left, value)) = text.split_once('=') else {
            let step = |path: &str, by: &[u8]| made(path, What::Add(Decimal::parse(by).unwrap_or_default()));
            return match (text.strip_suffix("++"), text.strip_suffix("--")) {
                (Some(path), _) => step(path, b"1"),
                (_, Some(path)) => step(path, b"-1"),
                _ => Err(malformed(text, FORMS)),
            };
        };
        // `/list/-=1` appends; it does not take 1 from the member with the empty name.
        let minus = left.strip_suffix('-').filter(|_| !left.ends_with("/-"));
        match (left.strip_suffix('+'), minus) {
            (Some(path), _) => made(path, What::Add(amount(text, value)?)),
            (_, Some(path)) => made(path, What::Add(amount(text, value)?.negated())),
            _ => made(left, What::Set(json_or_text(text, value)?)),
        }
    }
}

const FORMS: &str = "write /path=VALUE, /path++, /path--, /path+=N, /path-=N, rm:/path or time:/path=NOW";

fn malformed(text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{text:?} is no edit: {why}"))
}

fn amount(text: &str, value: &str) -> Result<Decimal> {
    let number = compact(value.as_bytes()).ok().filter(|bytes| Kind::of(bytes) == Kind::Number);
    let number = number.ok_or_else(|| malformed(text, "a JSON number must stand behind += and -="))?;
    Decimal::parse(&number).ok_or_else(|| malformed(text, "the number has too many digits"))
}

fn json_or_text(text: &str, value: &str) -> Result<Vec<u8>> {
    match compact(value.as_bytes()) {
        Ok(json) => Ok(json),
        Err(Flaw { kind: FlawKind::TooDeep(_) | FlawKind::TooLarge(_), .. }) => {
            Err(malformed(text, "the value is too large or nests too deep"))
        }
        Err(_) => Ok(quoted(value)),
    }
}

/// The document without whitespace, if it is one.
fn compact(document: &[u8]) -> Result<Vec<u8>, Flaw> {
    let (mut scanner, mut out) = (Scanner::default(), Vec::with_capacity(document.len()));
    scanner.feed(document, &mut out)?;
    scanner.finish()?;
    Ok(out)
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

/// The segments of a path (RFC 6901, section 3).
fn path_of(text: &str) -> Result<Vec<String>, &'static str> {
    let Some(rest) = text.strip_prefix('/') else { return Err("a path begins with /") };
    rest.split('/').map(unescaped).collect()
}

fn unescaped(segment: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(segment.len());
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, c == '~') {
            (_, true) => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("behind ~ must stand 0 (for ~) or 1 (for /)"),
            },
            (c, false) => c,
        });
    }
    Ok(out)
}

/// A path for messages.
fn pointer(segments: &[String]) -> String {
    match segments {
        [] => "the state".to_owned(),
        _ => segments.iter().map(|segment| format!("/{}", segment.replace('~', "~0").replace('/', "~1"))).collect(),
    }
}

/// Applies edits in order: all or none. `document` is the state, `now` what `NOW` stands for. Gives the new state; `None`
/// when there was none and still is none.
///
/// # Errors
/// [`ErrorKind::InvalidState`] when the document is not JSON, or something else stands where a path leads;
/// [`ErrorKind::TooLarge`].
pub fn apply(document: Option<&[u8]>, edits: &[Edit], now: &str) -> Result<Option<Vec<u8>>> {
    let mut state = document.map(compact).transpose()?;
    for edit in edits {
        state = one(state, edit, now)?;
    }
    // What was inserted may nest too deep by now, or be too large.
    Ok(state.as_deref().map(compact).transpose()?)
}

fn one(state: Option<Vec<u8>>, edit: &Edit, now: &str) -> Result<Option<Vec<u8>>> {
    let Some(mut state) = state.or_else(|| root_for(edit)) else { return Ok(None) };
    let place = find(&state, &edit.path)?;
    match (&edit.what, place) {
        (What::Remove, Place::Found(item)) => remove(&mut state, item),
        (What::Remove, Place::Missing { .. } | Place::Beyond { .. }) => {}
        (_, Place::Beyond { len, depth }) => {
            let message =
                format!("{} is an array of {len}, it has no place {}", pointer(&edit.path[..depth]), edit.path[depth]);
            return Err(unfit(message).with_hint("`-` appends"));
        }
        (What::Add(by), Place::Found(item)) => {
            let sum = sum(&state[item.value.clone()], by, &edit.path)?;
            drop(state.splice(item.value, sum));
        }
        (what, Place::Found(item)) => drop(state.splice(item.value, value_of(what, now))),
        (what, Place::Missing { container, depth }) => {
            insert(&mut state, container, &edit.path[depth..], &value_of(what, now));
        }
    }
    Ok(Some(state))
}

/// What a state that is not there yet begins as.
fn root_for(edit: &Edit) -> Option<Vec<u8>> {
    match (&edit.what, edit.path.first().map(String::as_str)) {
        (What::Remove, _) => None,
        (_, Some("-")) => Some(b"[]".to_vec()),
        _ => Some(b"{}".to_vec()),
    }
}

/// What stands in a place that was empty before.
fn value_of(what: &What, now: &str) -> Vec<u8> {
    match what {
        What::Set(json) => json.clone(),
        What::Add(by) => by.to_json(),
        What::Now => quoted(now),
        What::Remove => Vec::new(),
    }
}

fn unfit(message: String) -> Error {
    Error::new(ErrorKind::InvalidState, message)
}

/// A member or element: all of it, with its name, and its value.
struct Item {
    whole: Range<usize>,
    value: Range<usize>,
}

enum Place {
    Found(Item),
    /// Not there: from this segment on, inside this object or array, it can be made.
    Missing {
        container: Range<usize>,
        depth: usize,
    },
    /// The index at this segment is past the end of an array of this length.
    Beyond {
        len: usize,
        depth: usize,
    },
}

/// Follows a path through a compact document.
fn find(state: &[u8], path: &[String]) -> Result<Place> {
    let mut item = Item { whole: 0..state.len(), value: 0..state.len() };
    for (depth, segment) in path.iter().enumerate() {
        let container = item.value.clone();
        let found = match Kind::of(&state[container.clone()]) {
            Kind::Object => member(state, container.clone(), segment).map_err(|()| {
                unfit(format!("the name {segment:?} stands more than once in {}", pointer(&path[..depth])))
                    .with_hint("nobody can tell which is meant; replace the state with `lockd update`")
            })?,
            Kind::Array => match element(state, container.clone(), segment) {
                Element::Found(item) => Some(item),
                Element::End => None,
                Element::Beyond(len) => return Ok(Place::Beyond { len, depth }),
                Element::NoIndex => {
                    let message = format!("{} is an array and {segment:?} is no index", pointer(&path[..depth]));
                    return Err(unfit(message).with_hint("count from 0; `-` appends"));
                }
            },
            other => {
                let message = format!("{} is {other}: nothing can be inside it", pointer(&path[..depth]));
                return Err(unfit(message).with_hint("set it anew, or remove it first"));
            }
        };
        match found {
            Some(next) => item = next,
            None => return Ok(Place::Missing { container, depth }),
        }
    }
    Ok(Place::Found(item))
}

/// The member with this name; an error when there are several.
fn member(state: &[u8], object: Range<usize>, name: &str) -> Result<Option<Item>, ()> {
    let mut found = None;
    for span in Span::inside(state, object) {
        let text = Span::at(state, span.start);
        if !is_named(&state[text.clone()], name) {
            continue;
        }
        let item = Item { whole: span.clone(), value: text.end + 1..span.end };
        if found.replace(item).is_some() {
            return Err(());
        }
    }
    Ok(found)
}

/// Whether a quoted name is this one. One with half a surrogate pair is no text and equals none.
fn is_named(quoted: &[u8], name: &str) -> bool {
    match quoted.contains(&b'\\') {
        false => quoted[1..quoted.len() - 1] == *name.as_bytes(),
        true => serde_json::from_slice::<String>(quoted).is_ok_and(|text| text == name),
    }
}

enum Element {
    Found(Item),
    End,
    Beyond(usize),
    NoIndex,
}

fn element(state: &[u8], array: Range<usize>, segment: &str) -> Element {
    if segment == "-" {
        return Element::End;
    }
    // RFC 6901, section 4: digits without leading zeros.
    let digits = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    if !digits || (segment.len() > 1 && segment.starts_with('0')) {
        return Element::NoIndex;
    }
    let wanted = segment.parse().unwrap_or(usize::MAX);
    let mut len = 0;
    for span in Span::inside(state, array) {
        if len == wanted {
            return Element::Found(Item { whole: span.clone(), value: span });
        }
        len += 1;
    }
    if len == wanted { Element::End } else { Element::Beyond(len) }
}

fn sum(number: &[u8], by: &Decimal, path: &[String]) -> Result<Vec<u8>> {
    let kind = Kind::of(number);
    if kind != Kind::Number {
        return Err(unfit(format!("{} is {kind}, not a number", pointer(path))));
    }
    let sum = Decimal::parse(number).and_then(|number| number.plus(by));
    let message = || format!("{} cannot be counted exactly: the sum would have too many digits", pointer(path));
    sum.map(|sum| sum.to_json()).ok_or_else(|| unfit(message()).with_hint("set it to a number that is nearer to zero"))
}

/// Takes an item out, and one comma beside it.
fn remove(state: &mut Vec<u8>, item: Item) {
    let Range { start, end } = item.whole;
    let cut = match (start.checked_sub(1).map(|before| state[before]), state.get(end)) {
        (_, Some(b',')) => start..end + 1,
        (Some(b','), _) => start - 1..end,
        _ => start..end,
    };
    drop(state.drain(cut));
}

/// Puts a value, and what is missing around it, at the end of an object or array.
fn insert(state: &mut Vec<u8>, container: Range<usize>, path: &[String], value: &[u8]) {
    let Some((first, rest)) = path.split_first() else { return };
    let end = container.end - 1;
    let mut new = Vec::new();
    if end > container.start + 1 {
        new.push(b',');
    }
    if state[container.start] == b'{' {
        new.extend(quoted(first));
        new.push(b':');
    }
    for segment in rest {
        match segment.as_str() {
            "-" => new.push(b'['),
            name => {
                new.push(b'{');
                new.extend(quoted(name));
                new.push(b':');
            }
        }
    }
    new.extend_from_slice(value);
    new.extend(rest.iter().rev().map(|segment| if segment == "-" { b']' } else { b'}' }));
    drop(state.splice(end..end, new));
}

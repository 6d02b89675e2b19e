//! The grammar of RFC 8259, one byte at a time.

use super::text::{Text, text_run};
use super::{Flaw, FlawKind};

/// What may come next.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// Before the first byte.
    Start,
    /// Nothing but whitespace so far.
    Blank,
    /// Bytes of a byte order mark seen.
    Mark(u8),
    Value,
    ValueOrClose,
    Name,
    NameOrClose,
    Colon,
    /// A value is complete.
    After,
    /// Inside a string; `name` when it is the name of a member.
    Text {
        name: bool,
        text: Text,
    },
    /// Inside `true`, `false` or `null`, after so many bytes.
    Word(Word, u8),
    Number(Number),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    True,
    False,
    Null,
}

/// How far a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl State {
    /// How many bytes at the front change nothing: text in strings, further digits in numbers.
    #[inline]
    pub(super) fn run(self, bytes: &[u8]) -> usize {
        match self {
            Self::Text { text: Text::Plain, .. } => text_run(bytes),
            Self::Number(Number::Whole | Number::Fraction | Number::ExponentDigits) => {
                bytes.iter().take_while(|b| b.is_ascii_digit()).count()
            }
            _ => 0,
        }
    }

    /// Whether whitespace may stand here. A complete number ends at it.
    pub(super) const fn is_between_tokens(self) -> bool {
        match self {
            Self::Text { .. } | Self::Word(..) | Self::Mark(_) => false,
            Self::Number(number) => number.is_complete(),
            _ => true,
        }
    }

    /// Whether an object or array may begin here.
    const fn may_open(self) -> bool {
        matches!(self, Self::Start | Self::Blank | Self::Value | Self::ValueOrClose)
    }

    pub(super) const fn after_blank(self) -> Self {
        match self {
            Self::Start => Self::Blank,
            Self::Number(_) => Self::After,
            state => state,
        }
    }
}

impl Word {
    const fn quoted(self) -> &'static str {
        match self {
            Self::True => "`true`",
            Self::False => "`false`",
            Self::Null => "`null`",
        }
    }

    fn next(self, byte: u8, done: u8) -> Option<State> {
        let (letters, at) = (self.letters(), usize::from(done));
        match (letters[at] == byte, at + 1 == letters.len()) {
            (false, _) => None,
            (true, true) => Some(State::After),
            (true, false) => Some(State::Word(self, done + 1)),
        }
    }

    const fn letters(self) -> &'static [u8] {
        match self {
            Self::True => b"true",
            Self::False => b"false",
            Self::Null => b"null",
        }
    }
}

impl Number {
    /// The grammar of RFC 8259, section 6; `None` when the byte is no part of the number.
    const fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::ExponentDigits)
    }
}

/// The open objects and arrays, one bit each.
#[derive(Clone, Debug)]
pub(super) struct Nest {
    max: usize,
    depth: usize,
    objects: Vec<u64>,
    /// Whether the innermost is an object; `None` outside of all. Asked for after every value.
    object: Option<bool>,
}

impl Nest {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, depth: 0, objects: Vec::new(), object: None }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.depth == 0
    }

    const fn is_full(&self) -> bool {
        self.depth == self.max
    }

    fn open(&mut self, object: bool) -> Option<State> {
        if self.is_full() {
            return None;
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.objects.len() {
            self.objects.push(0);
        }
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        self.object = Some(object);
        Some(if object { State::NameOrClose } else { State::ValueOrClose })
    }

    fn close(&mut self) -> State {
        self.depth -= 1;
        self.object = self.depth.checked_sub(1).map(|last| self.objects[last / 64] >> (last % 64) & 1 == 1);
        State::After
    }
}

/// The grammar: what follows what.
impl Nest {
    /// The state after one byte that is not whitespace between tokens; `None` when the byte is wrong.
    #[inline]
    pub(super) fn next(&mut self, state: State, byte: u8) -> Option<State> {
        match state {
            State::Text { name, text } => match (text.next(byte)?, name) {
                (Text::Closed, true) => Some(State::Colon),
                (Text::Closed, false) => Some(State::After),
                (text, name) => Some(State::Text { name, text }),
            },
            State::Number(number) => match number.next(byte) {
                Some(next) => Some(State::Number(next)),
                None if number.is_complete() => self.after(byte),
                None => None,
            },
            State::After => self.after(byte),
            State::ValueOrClose if byte == b']' => Some(self.close()),
            State::NameOrClose if byte == b'}' => Some(self.close()),
            State::Name | State::NameOrClose if byte == b'"' => Some(State::Text { name: true, text: Text::Plain }),
            State::Colon if byte == b':' => Some(State::Value),
            State::Word(word, done) => word.next(byte, done),
            State::Start if byte == 0xEF => Some(State::Mark(1)),
            State::Mark(1) if byte == 0xBB => Some(State::Mark(2)),
            State::Start | State::Blank | State::Value | State::ValueOrClose => self.value(byte),
            State::Name | State::NameOrClose | State::Colon | State::Mark(_) => None,
        }
    }

    #[inline]
    fn value(&mut self, byte: u8) -> Option<State> {
        Some(match byte {
            b'"' => State::Text { name: false, text: Text::Plain },
            b'{' => self.open(true)?,
            b'[' => self.open(false)?,
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Whole),
            b't' => State::Word(Word::True, 1),
            b'f' => State::Word(Word::False, 1),
            b'n' => State::Word(Word::Null, 1),
            _ => return None,
        })
    }

    #[inline]
    fn after(&mut self, byte: u8) -> Option<State> {
        match (self.object, byte) {
            (Some(true), b',') => Some(State::Name),
            (Some(false), b',') => Some(State::Value),
            (Some(true), b'}') | (Some(false), b']') => Some(self.close()),
            _ => None,
        }
    }

    /// Why a byte is wrong in the present state.
    #[cold]
    pub(super) fn flaw(&self, state: State, byte: u8, offset: u64) -> Flaw {
        let kind = match state {
            State::Text { text: Text::Plain, .. } if byte < 0x20 => FlawKind::Control(byte),
            State::Text { text: Text::Plain | Text::Utf8 { .. }, .. } => FlawKind::NotUtf8,
            State::Mark(2) if byte == 0xBF => return Flaw { offset: 0, kind: FlawKind::ByteOrderMark },
            State::Mark(_) => return not_a_value_at_all(),
            _ if matches!(byte, b'{' | b'[') && self.is_full() && state.may_open() => FlawKind::TooDeep(self.max),
            state => expected(self.wanted(state), Some(byte)),
        };
        Flaw { offset, kind }
    }

    /// What may come in a state, for messages.
    pub(super) const fn wanted(&self, state: State) -> &'static str {
        match state {
            State::Start | State::Blank | State::Mark(_) | State::Value => "a JSON value",
            State::ValueOrClose => "a JSON value or `]`",
            State::Name => "a name in quotes",
            State::NameOrClose => "a name in quotes or `}`",
            State::Colon => "`:`",
            State::Text { text: Text::Escape, .. } => "one of \" \\ / b f n r t u after the backslash",
            State::Text { text: Text::Hex(_), .. } => "a hexadecimal digit",
            State::Text { .. } => "the end of a string",
            State::Word(word, _) => word.quoted(),
            State::Number(number) if !number.is_complete() => "a digit",
            State::Number(_) | State::After => match self.object {
                Some(true) => "`,` or `}`",
                Some(false) => "`,` or `]`",
                None => "the end after one JSON value",
            },
        }
    }
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Nothing begins with this byte, except the mark that is refused anyway.
pub(super) const fn not_a_value_at_all() -> Flaw {
    Flaw { offset: 0, kind: expected("a JSON value", Some(0xEF)) }
}

pub(super) const fn expected(what: &'static str, found: Option<u8>) -> FlawKind {
    FlawKind::Expected { what, found }
}

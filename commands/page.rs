//! A page for people: names on the left, values on the right, wrapped to the width of a terminal.

use super::table::width;
use super::text;

/// Where values begin.
const INDENT: usize = 12;
/// Narrower than this nothing is wrapped.
pub const NARROWEST: usize = 40;

/// Colours of values, as terminals know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// As the terminal has it.
    Plain,
    /// Nothing to do.
    Green,
    /// Worth a look.
    Yellow,
    /// Somebody should look.
    Red,
}

impl Color {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}

/// Lines of a name and a value; empty values are left out.
#[derive(Debug)]
pub struct Page {
    out: String,
    screen: Option<usize>,
    paints: bool,
}

impl Page {
    /// A page for a terminal of so many columns; elsewhere each value is one line.
    pub const fn new(screen: Option<usize>, paints: bool) -> Self {
        Self { out: String::new(), screen, paints }
    }

    /// The first line: what the page is about, and how it is.
    pub fn title(&mut self, name: &str, value: &str, color: Color) {
        let name = text::shown(name);
        let (bold, end) = if self.paints { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let value = self.painted(value, color);
        self.out.push_str(&format!("{bold}{name}{end}  {value}\n"));
    }

    /// A value under its name. What others wrote is escaped here.
    pub fn line(&mut self, name: &str, value: &str) {
        self.colored(name, value, Color::Plain);
    }

    /// The same in a colour.
    pub fn colored(&mut self, name: &str, value: &str, color: Color) {
        if value.is_empty() {
            return;
        }
        let room = self.screen.map(|screen| screen.max(NARROWEST) - INDENT);
        for (i, part) in wrapped(&text::shown(value), room).into_iter().enumerate() {
            let name = if i == 0 { name } else { "" };
            let part = self.painted(&part, color);
            self.out.push_str(&format!("  {name:<9} {part}\n"));
        }
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.out
    }

    fn painted(&self, value: &str, color: Color) -> String {
        match self.paints && color != Color::Plain {
            true => format!("{}{value}\x1b[0m", color.code()),
            false => value.to_owned(),
        }
    }
}

/// A text cut into lines at blanks; a word that is longer than a line is left whole, so that it can be copied.
pub fn wrapped(value: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room.filter(|room| width(value) > *room) else { return vec![value.to_owned()] };
    let mut lines = vec![String::new()];
    for word in value.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if width(line) + 1 + width(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_wrapped_at_blanks_on_terminals_only() {
        let page = |screen, paints| {
            let mut page = Page::new(screen, paints);
            page.title("k", "held", Color::Yellow);
            page.line("reason", "one two three four five six seven eight nine ten\x1b");
            page.line("empty", "");
            page.colored("ended", &"x".repeat(50), Color::Red);
            page.finish()
        };
        let long = "x".repeat(50);
        let plain = format!(
            "k  held\n  reason    one two three four five six seven eight nine ten\\u{{1b}}\n  ended     {long}\n"
        );
        assert_eq!(page(None, false), plain);
        assert_eq!(
            page(Some(1), true),
            format!(
                "\x1b[1mk\x1b[0m  \x1b[33mheld\x1b[0m\n  reason    one two three four five six\n            seven eight nine ten\\u{{1b}}\n  ended     \x1b[31m{long}\x1b[0m\n"
            )
        );
    }
}

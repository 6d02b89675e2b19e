//! Plots as SVG: axes, lines and bars. Colours and strokes are the page's.

use std::fmt::Write as _;

use super::escaped;

/// The size of a plot in its own units; the page stretches it.
const WIDTH: f64 = 360.0;
/// See [`WIDTH`].
const HEIGHT: f64 = 210.0;
/// Room for the labels, at the left, at the right, above and below.
const ROOM: (f64, f64, f64, f64) = (52.0, 20.0, 10.0, 24.0);
/// Lines that can be told apart: kinds of strokes in the page's style.
const STROKES: usize = 4;

/// A mark on an axis: where, and what stands there.
pub type Tick = (f64, String);

/// One axis: its ends and its marks.
#[derive(Clone, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<Tick>,
}

impl Axis {
    /// From the lowest to the highest mark.
    pub fn new(ticks: Vec<Tick>) -> Self {
        let ends = ticks.iter().map(|(at, _)| *at);
        let (low, high) = (ends.clone().reduce(f64::min), ends.reduce(f64::max));
        Self { low: low.unwrap_or(0.0), high: high.unwrap_or(1.0), ticks }
    }

    /// From zero to a round number at or above `most`, in a few round steps.
    pub fn from_zero(most: f64, label: impl Fn(f64) -> String) -> Self {
        let step = round_step(most / 4.0);
        let steps = if most > 0.0 { (most / step - 1e-9).ceil().max(1.0) as u32 } else { 1 };
        Self::new((0..=steps).map(|n| (f64::from(n) * step, label(f64::from(n) * step))).collect())
    }

    /// Powers of ten around two positive numbers; places are the logarithms.
    pub fn decades(low: f64, high: f64, label: impl Fn(f64) -> String) -> Self {
        let first = low.log10().floor() as i32;
        let last = (high.log10().ceil() as i32).max(first + 1);
        Self::new((first..=last).map(|n| (f64::from(n), label(10_f64.powi(n)))).collect())
    }

    fn share(&self, at: f64) -> f64 {
        if self.high > self.low { ((at - self.low) / (self.high - self.low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// The smallest of 1, 2, 5, 10 ... times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    if least.is_nan() || least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= least * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

/// A plot under construction.
pub struct Plot {
    x: Axis,
    y: Axis,
    body: String,
}

impl Plot {
    /// Axes and their grid; `about` says in words what is shown.
    pub fn new(about: &str, x: Axis, y: Axis) -> Self {
        let (left, right, top, bottom) = (ROOM.0, WIDTH - ROOM.1, ROOM.2, HEIGHT - ROOM.3);
        let mut plot = Self { x, y, body: String::new() };
        let about = escaped(about);
        let mut body = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{about}\">\n");
        // Writing to a String does not fail.
        for (at, label) in &plot.y.ticks {
            let (y, label) = (plot.place_y(*at), escaped(label));
            let _ok = writeln!(body, "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            let _ok =
                writeln!(body, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", left - 6.0, y + 4.0);
        }
        for (at, label) in &plot.x.ticks {
            let (x, label) = (plot.place_x(*at), escaped(label));
            let _ok = writeln!(
                body,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/>",
                bottom + 4.0
            );
            let _ok =
                writeln!(body, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 17.0);
        }
        let _ok = writeln!(body, "<line class=\"grid\" x1=\"{left}\" x2=\"{left}\" y1=\"{top}\" y2=\"{bottom}\"/>");
        plot.body = body;
        plot
    }

    /// A line through points; each has a word for who points at it.
    pub fn line(&mut self, stroke: usize, points: &[(f64, f64, String)]) {
        let stroke = stroke % STROKES;
        let places: Vec<String> =
            points.iter().map(|(x, y, _)| format!("{:.1},{:.1}", self.place_x(*x), self.place_y(*y))).collect();
        let _ok = writeln!(self.body, "<polyline class=\"line s{stroke}\" points=\"{}\"/>", places.join(" "));
        for (x, y, word) in points {
            let (x, y, word) = (self.place_x(*x), self.place_y(*y), escaped(word));
            let circle = format!("<circle class=\"dot s{stroke}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\">");
            let _ok = writeln!(self.body, "{circle}<title>{word}</title></circle>");
        }
    }

    /// A bar from the bottom.
    pub fn bar(&mut self, x: f64, width: f64, y: f64, word: &str) {
        let (from, to) = (self.place_x(x - width / 2.0), self.place_x(x + width / 2.0));
        let (top, bottom) = (self.place_y(y), HEIGHT - ROOM.3);
        let _ok = writeln!(
            self.body,
            "<rect class=\"bar\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            (to - from).max(1.0),
            bottom - top,
            escaped(word)
        );
    }

    /// A line across, at a value.
    pub fn middle(&mut self, at: f64) {
        let (y, left, right) = (self.place_y(at), ROOM.0, WIDTH - ROOM.1);
        let _ok =
            writeln!(self.body, "<line class=\"middle\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    }

    /// The finished plot.
    pub fn finish(self) -> String {
        self.body + "</svg>\n"
    }

    fn place_x(&self, at: f64) -> f64 {
        ROOM.0 + self.x.share(at) * (WIDTH - ROOM.0 - ROOM.1)
    }

    fn place_y(&self, at: f64) -> f64 {
        HEIGHT - ROOM.3 - self.y.share(at) * (HEIGHT - ROOM.2 - ROOM.3)
    }
}

/// What stands for a line in the words below a plot.
pub fn key(stroke: usize, name: &str) -> String {
    let stroke = stroke % STROKES;
    format!(
        "<span class=\"key\"><svg viewBox=\"0 0 26 8\" aria-hidden=\"true\"><line class=\"line s{stroke}\" x1=\"0\" x2=\"26\" y1=\"4\" \
         y2=\"4\"/></svg>{}</span>",
        escaped(name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_beyond_what_is_shown() {
        let ends = |most: f64| {
            let axis = Axis::from_zero(most, |at| at.to_string());
            (axis.low, axis.high, axis.ticks.len())
        };
        assert_eq!(ends(100.0), (0.0, 100.0, 3));
        assert_eq!(ends(3.0), (0.0, 3.0, 4));
        assert_eq!(ends(1_234.0), (0.0, 1_500.0, 4));
        assert_eq!((ends(0.0), ends(f64::NAN)), ((0.0, 1.0, 2), (0.0, 1.0, 2)));
        let decades = Axis::decades(12.0, 4_000.0, |at| at.to_string());
        assert_eq!(
            decades.ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>(),
            ["10", "100", "1000", "10000"]
        );
        assert_eq!(Axis::decades(10.0, 10.0, |at| at.to_string()).ticks.len(), 2);
    }

    #[test]
    fn what_is_shown_stays_inside_and_is_escaped() {
        let axis = || Axis::from_zero(10.0, |at| at.to_string());
        let mut plot = Plot::new("a < b", axis(), axis());
        plot.line(5, &[(0.0, 0.0, "\"low\"".to_owned()), (99.0, 99.0, "high".to_owned())]);
        let text = plot.finish();
        assert!(text.contains("aria-label=\"a &lt; b\"") && text.contains("&quot;low&quot;"), "{text}");
        assert!(text.contains("points=\"52.0,186.0 340.0,10.0\"") && text.contains("line s1"), "{text}");
        assert!(key(0, "<b>").contains("&lt;b&gt;"));
    }
}

//! docs/storm.svg, written plainly: two panels that share a legend, in light and in dark.

use std::fmt::Write as _;

/// One policy in both panels.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Share of the events that are in, over time as a multiple of N/C.
    pub(super) left: Vec<(f64, f64)>,
    /// Requests per event over N/C in s; nothing where it is not shown.
    pub(super) right: Vec<(f64, f64)>,
}

/// How a value becomes a place on an axis.
#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
}

/// One direction of a panel: where it lies in the picture, what it shows, and which values are named.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    /// Where `from` and `to` lie, in pixels.
    at: (f64, f64),
    ticks: &'static [(f64, &'static str)],
    title: &'static str,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let on = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.ln(),
        };
        let share = (on(value.clamp(self.from, self.to)) - on(self.from)) / (on(self.to) - on(self.from));
        self.at.0 + share * (self.at.1 - self.at.0)
    }
}

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#3d444d}
.title{font-size:15px;font-weight:600;fill:#1f2328}
.paper{fill:#ffffff}.grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#6e7781;stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.ours{stroke-width:3.5}
.least{fill:none;stroke:#6e7781;stroke-width:1.5;stroke-dasharray:2 4}
.c0{stroke:#0a7d4f}.c1{stroke:#0969da}.c2{stroke:#b5820a}.c3{stroke:#cf5a1c}.c4{stroke:#a0408f}.c5{stroke:#767676}
.d0{fill:#0a7d4f}.d1{fill:#0969da}.d2{fill:#b5820a}.d3{fill:#cf5a1c}.d4{fill:#a0408f}.d5{fill:#767676}
.c2{stroke-dasharray:9 4}.c4{stroke-dasharray:3 4}.c5{stroke-dasharray:12 4 3 4}
@media (prefers-color-scheme:dark){
text{fill:#c4ccd4}.title{fill:#f0f3f6}.paper{fill:#0d1117}.grid{stroke:#2a313a}.axis,.least{stroke:#8b949e}
.c0{stroke:#3fd08f}.c1{stroke:#6cb6ff}.c2{stroke:#e6c14a}.c3{stroke:#ff9158}.c4{stroke:#e38fd2}.c5{stroke:#a8b0b8}
.d0{fill:#3fd08f}.d1{fill:#6cb6ff}.d2{fill:#e6c14a}.d3{fill:#ff9158}.d4{fill:#e38fd2}.d5{fill:#a8b0b8}
}";

const TOP: f64 = 56.0;
const BOTTOM: f64 = 356.0;

/// The whole picture. The first two lines are ours.
pub(super) fn draw(lines: &[Line]) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 472\" role=\"img\" \
         aria-label=\"A fleet that comes back: events in over time, and requests per event\">\n\
         <style>\n{STYLE}\n</style>\n<rect class=\"paper\" width=\"960\" height=\"472\" rx=\"8\"/>\n"
    );
    let x = Axis {
        scale: Scale::Linear,
        from: 0.0,
        to: 3.0,
        at: (72.0, 472.0),
        ticks: &[(0.0, "0"), (0.5, ""), (1.0, "1"), (1.5, ""), (2.0, "2"), (2.5, ""), (3.0, "3")],
        title: "time, in multiples of N/C (20 s)",
    };
    let y = Axis {
        scale: Scale::Linear,
        from: 0.0,
        to: 1.0,
        at: (BOTTOM, TOP),
        ticks: &[(0.0, "0 %"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")],
        title: "events in",
    };
    panel(&mut svg, "How soon all are in, ρ = 0.1", &x, &y);
    let _ = writeln!(svg, "<path class=\"least\" d=\"{}\"/>", path(&[(0.0, 0.0), (1.0, 1.0)], &x, &y));
    // Ours are drawn last, on top.
    for (place, line) in lines.iter().enumerate().rev() {
        let _ = writeln!(svg, "<path class=\"{}\" d=\"{}\"/>", class(place), path(&line.left, &x, &y));
    }
    let x = Axis {
        scale: Scale::Logarithmic,
        from: 4.0,
        to: 250.0,
        at: (564.0, 936.0),
        ticks: &[(5.0, "5 s"), (20.0, "20 s"), (80.0, "80 s"), (200.0, "200 s")],
        title: "size of the storm, N/C",
    };
    let y = Axis {
        scale: Scale::Logarithmic,
        from: 0.8,
        to: 32.0,
        at: (BOTTOM, TOP),
        ticks: &[(1.0, "1"), (2.0, "2"), (4.0, "4"), (8.0, "8"), (16.0, "16"), (32.0, "32")],
        title: "requests per event",
    };
    panel(&mut svg, "What an event costs, ρ = 0", &x, &y);
    for (place, line) in lines.iter().enumerate().rev().filter(|(_, line)| !line.right.is_empty()) {
        let _ = writeln!(svg, "<path class=\"{}\" d=\"{}\"/>", class(place), path(&line.right, &x, &y));
        for (span, requests) in &line.right {
            let (cx, cy) = (x.place(*span), y.place(*requests));
            let _ = writeln!(svg, "<circle class=\"d{place}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\"/>");
        }
    }
    legend(&mut svg, lines);
    svg.push_str("</svg>\n");
    svg
}

fn class(place: usize) -> String {
    format!("line c{place}{}", if place < 2 { " ours" } else { "" })
}

fn panel(svg: &mut String, title: &str, x: &Axis, y: &Axis) {
    let ((left, right), middle) = (x.at, (TOP + BOTTOM) / 2.0);
    let _ = writeln!(svg, "<text class=\"title\" x=\"{left}\" y=\"32\">{title}</text>");
    for (value, name) in y.ticks {
        let at = y.place(*value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>");
        let (end, base) = (left - 9.0, at + 4.5);
        let _ = writeln!(svg, "<text x=\"{end}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>");
    }
    for (value, name) in x.ticks {
        let at = x.place(*value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>");
        let base = BOTTOM + 20.0;
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{base}\" text-anchor=\"middle\">{name}</text>");
    }
    let _ = writeln!(svg, "<path class=\"axis\" fill=\"none\" d=\"M{left} {TOP}V{BOTTOM}H{right}\"/>");
    let (centre, below, beside) = ((left + right) / 2.0, BOTTOM + 42.0, left - 54.0);
    let _ = writeln!(svg, "<text x=\"{centre}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", x.title);
    let _ = writeln!(
        svg,
        "<text transform=\"translate({beside} {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        y.title
    );
}

fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for (across, up) in points {
        let _ = write!(path, "{pen}{:.1} {:.1}", x.place(*across), y.place(*up));
        pen = 'L';
        if *across > x.to {
            break;
        }
    }
    path
}

/// Columns of two, as wide as their names, and last the least that is possible.
fn legend(svg: &mut String, lines: &[Line]) {
    const COLUMNS: [f64; 4] = [72.0, 320.0, 466.0, 684.0];
    let own = lines.iter().enumerate().map(|(place, line)| (class(place), line.name));
    let entries = own.chain([("least".to_owned(), "a city that never rests (left)")]);
    let places = COLUMNS.into_iter().flat_map(|x| [(x, 428.0), (x, 452.0)]);
    for ((class, name), (x, y)) in entries.zip(places) {
        let (end, text, base) = (x + 34.0, x + 44.0, y + 4.5);
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{x} {y}H{end}\"/>");
        let _ = writeln!(svg, "<text x=\"{text}\" y=\"{base}\">{name}</text>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_where_its_values_are_and_ends_at_the_edge() {
        let axis = |scale, from, to, at| Axis { scale, from, to, at, ticks: &[], title: "" };
        let x = axis(Scale::Linear, 0.0, 2.0, (0.0, 200.0));
        let y = axis(Scale::Logarithmic, 1.0, 100.0, (100.0, 0.0));
        let points = [(0.0, 1.0), (1.0, 10.0), (3.0, 100.0), (4.0, 1.0)];
        assert_eq!(path(&points, &x, &y), "M0.0 100.0L100.0 50.0L200.0 0.0");
    }
}

//! The map of cameras: dots on an equirectangular projection, drawn here, so that nobody else learns who looks at which place.

use std::f64::consts::PI;

use usufruct_core::camera::Camera;
use usufruct_core::register::Entry;

/// Units across the longer side of the picture.
const SIDE: f64 = 1_000.0;
/// Units around what is drawn.
const MARGIN: f64 = 60.0;
/// Shorter sides of the land are drawn as if they were this long, in degrees.
const SMALLEST: f64 = 0.004;
/// Metres of a degree of latitude (a 360th of the mean meridian, 40,007,863 m).
const METRES: f64 = 111_132.95;
/// How long the bar may be, in metres.
const BARS: [i64; 13] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// A picture of where the cameras stand, for those who see; the list beside it says the same.
pub(super) struct CameraMap {
    pub width: i64,
    pub height: i64,
    pub dots: Vec<Dot>,
    /// Length of the bar in units, and in metres.
    pub bar: (i64, i64),
}

/// One camera.
pub(super) struct Dot {
    pub number: usize,
    pub state: &'static str,
    pub x: i64,
    pub y: i64,
    /// Outline of where it looks.
    pub view: Option<String>,
    /// Whether it is the one that the page is about.
    pub is_own: bool,
}

impl CameraMap {
    /// Those that are not gone, each with its number. `own` is the one that the page is about.
    pub(super) fn of<'a>(cameras: impl Iterator<Item = (usize, &'a Entry<Camera>)>, own: Option<&str>) -> Self {
        let standing: Vec<_> = cameras.filter(|(_, entry)| !entry.state.is_over() || own == Some(entry.id.as_str())).collect();
        let degrees = |entry: &Entry<Camera>| {
            let location = &entry.body.location;
            (location.longitude.micro() as f64 / 1e6, location.latitude.micro() as f64 / 1e6)
        };
        let (west, east) = bounds(standing.iter().map(|(_, entry)| degrees(entry).0));
        let (south, north) = bounds(standing.iter().map(|(_, entry)| degrees(entry).1));
        // A degree of longitude is as much shorter than one of latitude as the cosine of the latitude says.
        let shrink = (f64::midpoint(south, north) * PI / 180.0).cos().max(0.01);
        let (across, down) = ((east - west) * shrink, north - south);
        let scale = SIDE / across.max(down);
        let place = |entry: &Entry<Camera>| {
            let (longitude, latitude) = degrees(entry);
            (units((longitude - west) * shrink * scale + MARGIN), units((north - latitude) * scale + MARGIN))
        };
        let dot = |(number, entry): &(usize, &Entry<Camera>)| {
            let (x, y) = place(entry);
            let view = entry.body.direction.degrees().map(|degrees| view(x, y, degrees));
            Dot { number: *number, state: entry.state.code(), x, y, view, is_own: own == Some(entry.id.as_str()) }
        };
        let metre = scale / METRES;
        let metres = BARS.iter().rev().find(|metres| **metres as f64 * metre <= SIDE / 4.0).copied().unwrap_or(BARS[0]);
        Self {
            width: units(across * scale + 2.0 * MARGIN),
            height: units(down * scale + 2.0 * MARGIN),
            dots: standing.iter().map(dot).collect(),
            bar: (units(metres as f64 * metre), metres),
        }
    }
}

/// From the least to the greatest, at least [`SMALLEST`] apart.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, greatest) = values.fold((f64::MAX, f64::MIN), |(least, greatest), value| (least.min(value), greatest.max(value)));
    if least > greatest {
        return (0.0, SMALLEST);
    }
    let missing = (SMALLEST - (greatest - least)).max(0.0) / 2.0;
    (least - missing, greatest + missing)
}

/// A sector of sixty degrees around the direction.
fn view(x: i64, y: i64, degrees: i64) -> String {
    const LENGTH: f64 = 56.0;
    let corner = |turned: i64| {
        let angle = (degrees + turned) as f64 * PI / 180.0;
        (x + units(LENGTH * angle.sin()), y - units(LENGTH * angle.cos()))
    };
    let ((left_x, left_y), (right_x, right_y)) = (corner(-30), corner(30));
    format!("M{x} {y} L{left_x} {left_y} A56 56 0 0 1 {right_x} {right_y}Z")
}

/// Whole units: no picture is so large that a half of one shows.
fn units(length: f64) -> i64 {
    length.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_alone_has_room_around_it() {
        let (west, east) = bounds([121.5].into_iter());
        assert!((west - 121.498).abs() < 1e-9 && (east - 121.502).abs() < 1e-9);
        assert_eq!(bounds([1.0, 3.0, 2.0].into_iter()), (1.0, 3.0));
        assert_eq!(bounds(std::iter::empty()), (0.0, SMALLEST));
    }

    #[test]
    fn a_view_opens_to_where_the_camera_looks() {
        assert_eq!(view(100, 100, 0), "M100 100 L72 52 A56 56 0 0 1 128 52Z", "north is up");
        assert_eq!(view(100, 100, 90), "M100 100 L148 72 A56 56 0 0 1 148 128Z", "east is right");
    }
}

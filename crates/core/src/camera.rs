//! Camera: where a public camera stands, who answers for it, what it sees and keeps, and until when it is permitted (governance 3.1, 3.2).
//!
//! Three bodies have a part in it: one applies, one installs, and one permits that is neither of them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::draft::{Draft, Problem};
use crate::id::AgencyId;
use crate::lifecycle::State;
use crate::register::{Entry, Register};
use crate::{Digest, Text, Time};

/// One revision of a camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Camera {
    /// The body that permits it and answers for it.
    pub authority: AgencyId,
    /// The body or vendor that put it up.
    pub installer: AgencyId,
    /// The body that asked for it.
    pub applicant: AgencyId,
    /// Number of the permit, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit_no: Option<String>,
    /// Until when it is permitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit_until: Option<Time>,
    pub location: Location,
    pub direction: Direction,
    /// What is in its picture.
    pub field: Text,
    /// What it is for: a code of the list that the law has.
    pub purpose_code: String,
    /// Pixels on a metre at the nearest point where people can stand (IEC 62676-4: 25 detect, 62.5 observe, 125 recognise, 250 identify).
    pub px_per_m: i64,
    pub recording: Recording,
    /// Never true, as the two after it: a camera that did one of them would be refused.
    pub audio: bool,
    pub face_recognition: bool,
    pub joined_with_personal_data: bool,
    /// Who watches it as it happens. Absent where nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_view: Option<LiveView>,
    /// Where people ask to see what was recorded.
    pub view_request_url: String,
    /// When somebody last looked whether it is as it says here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check: Option<Time>,
}

/// Where it stands, as exactly as the public is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    pub place: Text,
    pub latitude: Coordinate,
    pub longitude: Coordinate,
    /// Within how many metres of that point it stands.
    pub precision_m: i64,
}

/// Degrees of latitude or longitude (WGS 84) with six decimals, which is about a hand's breadth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coordinate(i32);

/// Why a text is no coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This is no number of degrees with at most six decimals. Write it as `25.033964`.")]
pub struct NoCoordinate;

/// Whither it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    North,
    NorthEast,
    East,
    SouthEast,
    South,
    SouthWest,
    West,
    NorthWest,
    /// It turns, or sees all around.
    Around,
}

/// What is kept of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Recording {
    pub kept: bool,
    /// For so many days, where anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
}

/// Who watches it as it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveView {
    /// The offices that may.
    pub roles: Vec<String>,
    /// SHA-256 of the picture of the empty scene that stands in the place of people.
    pub plate_hash: Digest,
}

impl Direction {
    pub const WORDS: [(&'static str, Self); 9] = [
        ("north", Self::North),
        ("north_east", Self::NorthEast),
        ("east", Self::East),
        ("south_east", Self::SouthEast),
        ("south", Self::South),
        ("south_west", Self::SouthWest),
        ("west", Self::West),
        ("north_west", Self::NorthWest),
        ("around", Self::Around),
    ];

    /// The word for it.
    pub fn code(self) -> &'static str {
        Self::WORDS.iter().find(|(_, direction)| *direction == self).map_or("", |(word, _)| word)
    }

    /// Degrees from north, clockwise. `None` where it sees all around.
    pub fn degrees(self) -> Option<i64> {
        let position = Self::WORDS.iter().position(|(_, direction)| *direction == self)?;
        i64::try_from(position).ok().map(|position| position * 45).filter(|degrees| *degrees < 360)
    }
}

impl Coordinate {
    /// Millionths of a degree.
    pub fn micro(self) -> i64 {
        i64::from(self.0)
    }
}

impl FromStr for Coordinate {
    type Err = NoCoordinate;

    fn from_str(text: &str) -> Result<Self, NoCoordinate> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number =
            |text: &str, longest| (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole, 3) || !is_number(part, 6) {
            return Err(NoCoordinate);
        }
        let whole: i32 = whole.parse().map_err(|_| NoCoordinate)?;
        let part: i32 = format!("{part:0<6}").parse().map_err(|_| NoCoordinate)?;
        Ok(Self(sign * (whole * 1_000_000 + part)))
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
    }
}

impl Serialize for Coordinate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Camera {
    /// Reads a camera, or lists everything that is missing or unlawful in it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut draft = Draft::new(value);
        let camera = Self::fields(&mut draft);
        if let Some(camera) = &camera {
            camera.check(&mut draft);
        }
        let problems = draft.finish();
        match camera {
            Some(camera) if problems.is_empty() => Ok(camera),
            _ => Err(problems),
        }
    }

    fn fields(draft: &mut Draft<'_>) -> Option<Self> {
        let authority = draft.parse("authority", "Name the body that permits it, as `agc_police`.");
        let installer = draft.parse("installer", "Name the body or vendor that puts it up.");
        let applicant = draft.parse("applicant", "Name the body that asks for it.");
        let permit_no = draft.optional_string("permit_no", 80);
        let permit_until = draft.optional_parse("permit_until", "Give the day on which the permit ends, or leave it out.");
        let location = draft.object("location", "Say where it stands.", location);
        let direction = draft.word("direction", &Direction::WORDS, "Say whither it looks.");
        let field = draft.text("field", 400, "Say what is in its picture.");
        let purpose_code = draft.string("purpose_code", 40, "Say what it is for, by a code of the law's list.");
        let px_per_m = draft.integer("px_per_m", 1, 10_000, "Say how many pixels a metre has where people come nearest.");
        let recording = draft.object("recording", "Say whether its pictures are kept, and for how many days.", recording);
        let audio = never(draft, "audio", "A camera that hears people is no camera of this register. Take the microphone out.");
        let face_recognition =
            never(draft, "face_recognition", "A camera that recognises faces names everybody who walks by. Take that out.");
        let joined_with_personal_data = never(
            draft,
            "joined_with_personal_data",
            "Pictures that are joined with personal data need a mandate of their own. Keep them apart.",
        );
        let live_view = draft.optional_object("live_view", |view| {
            let roles = view.strings("roles", 80, "List the offices that may watch.");
            let plate_hash = view.parse("plate_hash", "Give the SHA-256 of the picture of the empty scene.");
            Some(LiveView { roles, plate_hash: plate_hash? })
        });
        let view_request_url = draft.string("view_request_url", 300, "Say where people ask to see what was recorded.");
        let last_check = draft.optional_parse("last_check", "Say when somebody last looked at it, or leave it out.");
        Some(Self {
            authority: authority?,
            installer: installer?,
            applicant: applicant?,
            permit_no,
            permit_until,
            location: location?,
            direction: direction?,
            field: field?,
            purpose_code: purpose_code?,
            px_per_m: px_per_m?,
            recording: recording?,
            audio: audio?,
            face_recognition: face_recognition?,
            joined_with_personal_data: joined_with_personal_data?,
            live_view,
            view_request_url: view_request_url?,
            last_check,
        })
    }

    fn check(&self, draft: &mut Draft<'_>) {
        for (field, other) in [("applicant", &self.applicant), ("installer", &self.installer)] {
            if *other == self.authority {
                let message = "The body that permits it would permit what is its own. Name another authority.";
                draft.note(field, "itself", message.into());
            }
        }
    }

    /// Whether this says the same as `other` but for the day of the last check, so that what was permitted is still permitted.
    pub fn is_permitted_as(&self, other: &Self) -> bool {
        Self { last_check: other.last_check, ..self.clone() } == *other
    }
}

impl Register {
    /// When the authority has to look at a camera again. `None` where nobody ever looked.
    pub fn camera_check_due(&self, camera: &Camera, at: Time) -> Option<Time> {
        let within = self.law(&camera.authority, at).camera_check().within();
        camera.last_check.map(|last| last.plus(within))
    }

    /// Whether nobody has looked at a camera for longer than the law allows.
    pub fn is_unchecked(&self, camera: &Camera, at: Time) -> bool {
        self.camera_check_due(camera, at).is_none_or(|due| due <= at)
    }

    /// Whether a camera may show or record anything at `at`. From the first moment after its permit or its last check has run out it may
    /// not, whether or not anybody has said so.
    pub fn camera_may_see(&self, camera: &Entry<Camera>, at: Time) -> bool {
        camera.state == State::Active
            && camera.body.permit_until.is_some_and(|until| at < until)
            && !self.is_unchecked(&camera.body, at)
    }
}

fn location(draft: &mut Draft<'_>) -> Option<Location> {
    let place = draft.text("place", 160, "Name the place in both languages.");
    let latitude = degrees(draft, "latitude", 90);
    let longitude = degrees(draft, "longitude", 180);
    let precision_m = draft.integer("precision_m", 1, 1_000, "Say within how many metres of that point it stands.");
    Some(Location { place: place?, latitude: latitude?, longitude: longitude?, precision_m: precision_m? })
}

fn degrees(draft: &mut Draft<'_>, field: &'static str, most: i64) -> Option<Coordinate> {
    let found: Coordinate = draft.parse(field, "Give the degrees as text, as `25.033964`.")?;
    if found.micro().abs() > most * 1_000_000 {
        draft.note(field, "out-of-range", format!("There are no more than {most} degrees. Correct the number."));
        return None;
    }
    Some(found)
}

fn recording(draft: &mut Draft<'_>) -> Option<Recording> {
    let has_days = draft.optional("days").is_some();
    let kept = draft.flag("kept", "Say whether its pictures are kept.")?;
    if kept {
        let days = draft.integer("days", 1, 3_660, "Say for how many days they are kept.")?;
        return Some(Recording { kept, days: Some(days) });
    }
    if has_days {
        draft.note("days", "contradiction", "Nothing is kept, and yet for some days. Leave the days out, or say so.".into());
    }
    Some(Recording { kept, days: None })
}

/// A flag that has to be there and has to be false.
fn never(draft: &mut Draft<'_>, field: &'static str, why: &str) -> Option<bool> {
    let flag = draft.flag(field, "Say `false`: nothing else is lawful.")?;
    if flag {
        draft.note(field, "forbidden", why.to_owned());
    }
    Some(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_have_one_form() {
        for (text, shown) in
            [("25.033964", "25.033964"), ("-2.284777", "-2.284777"), ("121", "121.000000"), ("-0.5", "-0.500000")]
        {
            assert_eq!(text.parse::<Coordinate>().unwrap().to_string(), shown);
        }
        for bad in ["", "-", "25.", ".5", "25.0339640", "1e3", "+25", "1234", "25,03", "二五"] {
            assert_eq!(bad.parse::<Coordinate>(), Err(NoCoordinate), "{bad}");
        }
    }

    #[test]
    fn directions_go_clockwise() {
        assert_eq!(
            (Direction::North.degrees(), Direction::SouthWest.degrees(), Direction::Around.degrees()),
            (Some(0), Some(225), None)
        );
    }
}

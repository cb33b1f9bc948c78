//! Cameras: where they stand, who permitted them, what they see and keep, and until when.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use i18n_embed_fl::fl;
use usufruct_core::Time;
use usufruct_core::camera::{Camera, Direction};
use usufruct_core::id::CameraId;
use usufruct_core::register::{Entry, Register};

use super::camera_map::CameraMap;
use super::{Link, open_json};
use crate::Site;
use crate::fault::Fault;
use crate::page::{Page, show};

#[derive(Template)]
#[template(path = "cameras.html")]
struct CamerasPage {
    page: Page,
    map: CameraMap,
    cameras: Vec<ShownCamera>,
}

#[derive(Template)]
#[template(path = "camera.html")]
struct CameraPage {
    page: Page,
    map: CameraMap,
    shown: ShownCamera,
}

/// A camera as readers see it.
struct ShownCamera {
    /// Its number on the map.
    number: usize,
    entry: Entry<Camera>,
    authority: Link,
    installer: Link,
    applicant: Link,
    /// What it is for, in the words of the law, and the article.
    purpose: Option<(String, String)>,
    /// When somebody has to look at it again.
    check_due: Option<Time>,
    is_check_late: bool,
    /// Whether it may show or record anything now.
    may_see: bool,
}

/// All of them. Those that are gone stand last, and not on the map.
pub(super) async fn list(State(site): State<Arc<Site>>, page: Page) -> Response {
    let (register, now) = (site.app.register(), site.app.now());
    let cameras = all(&register, &page, now);
    let map = CameraMap::of(cameras.iter().map(|shown| (shown.number, &shown.entry)), None);
    show(&CamerasPage { page, map, cameras })
}

pub(super) async fn list_json(State(site): State<Arc<Site>>) -> Response {
    open_json(&site.app.register().cameras)
}

pub(super) async fn one(State(site): State<Arc<Site>>, page: Page, Path(id): Path<String>) -> Result<Response, Fault> {
    let (register, now) = (site.app.register(), site.app.now());
    let find = |id: &str| id.parse::<CameraId>().ok().and_then(|id| register.cameras.get(&id));
    if let Some(entry) = id.strip_suffix(".json").and_then(find) {
        return Ok(open_json(entry));
    }
    let mut cameras = all(&register, &page, now);
    let position = cameras.iter().position(|shown| shown.entry.id == id).ok_or_else(|| Fault::not_found("camera"))?;
    let map = CameraMap::of(cameras.iter().map(|shown| (shown.number, &shown.entry)), Some(&id));
    let shown = cameras.swap_remove(position);
    Ok(show(&CameraPage { page, map, shown }))
}

fn all(register: &Register, page: &Page, now: Time) -> Vec<ShownCamera> {
    let mut entries: Vec<_> = register.cameras.values().collect();
    entries.sort_by_key(|entry| (entry.state.is_over(), entry.number));
    entries.into_iter().enumerate().map(|(position, entry)| shown(register, page, position + 1, entry, now)).collect()
}

fn shown(register: &Register, page: &Page, number: usize, entry: &Entry<Camera>, now: Time) -> ShownCamera {
    let body = &entry.body;
    let listed = register.law(&body.authority, now).camera_purposes().iter().find(|listed| listed.code == body.purpose_code);
    let check_due = register.camera_check_due(body, now).filter(|_| !entry.state.is_over());
    ShownCamera {
        number,
        authority: Link::agency(register, page, &body.authority),
        installer: Link::agency(register, page, &body.installer),
        applicant: Link::agency(register, page, &body.applicant),
        purpose: listed.map(|listed| (page.text(&listed.text).to_owned(), listed.article.clone())),
        check_due,
        is_check_late: check_due.is_some_and(|due| due <= now),
        may_see: register.camera_may_see(entry, now),
        entry: entry.clone(),
    }
}

impl Link {
    /// A camera by the place where it stands.
    pub(super) fn camera(page: &Page, entry: &Entry<Camera>) -> Self {
        Self { to: format!("/register/cameras/{}", entry.id), words: page.text(&entry.body.location.place).to_owned() }
    }
}

impl Page {
    /// Whither a camera looks.
    pub fn direction(&self, direction: &Direction) -> String {
        match direction {
            Direction::North => fl!(self.messages, "direction-north"),
            Direction::NorthEast => fl!(self.messages, "direction-north-east"),
            Direction::East => fl!(self.messages, "direction-east"),
            Direction::SouthEast => fl!(self.messages, "direction-south-east"),
            Direction::South => fl!(self.messages, "direction-south"),
            Direction::SouthWest => fl!(self.messages, "direction-south-west"),
            Direction::West => fl!(self.messages, "direction-west"),
            Direction::NorthWest => fl!(self.messages, "direction-north-west"),
            Direction::Around => fl!(self.messages, "direction-around"),
        }
    }

    /// What is kept of the pictures of a camera.
    pub fn recording(&self, camera: &Camera) -> String {
        match camera.recording.days {
            Some(days) => fl!(self.messages, "camera-recording-days", days = days),
            None => fl!(self.messages, "camera-recording-no"),
        }
    }

    /// How exactly the place of a camera is told.
    pub fn precision(&self, camera: &Camera) -> String {
        fl!(self.messages, "camera-precision", metres = camera.location.precision_m)
    }

    /// How finely it sees.
    pub fn density(&self, camera: &Camera) -> String {
        fl!(self.messages, "camera-density", pixels = camera.px_per_m)
    }

    /// How long the bar of a map is in nature.
    pub fn bar(&self, metres: &i64) -> String {
        let (metres, kilometres) = (*metres, *metres / 1_000);
        if kilometres == 0 {
            fl!(self.messages, "camera-map-metres", metres = metres)
        } else {
            fl!(self.messages, "camera-map-kilometres", kilometres = kilometres)
        }
    }
}

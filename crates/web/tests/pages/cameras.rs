//! Cameras on the register's pages: a map that is drawn here, a list that says the same, and what each may see.

use usufruct_core::statement::StatementKind;

use super::*;
use crate::common::{LIBRARY, VENDOR};
use crate::vendors::{camera, step};

const DOOR: &str = "/register/cameras/cam_door";

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_stands_on_the_map_and_in_the_list_and_goes_dark_by_the_clock() {
    let pages = Pages::new();
    let city = &pages.city;
    city.publish_agency(VENDOR, "vendor");
    city.publish(StatementKind::Camera, "cam_door", LIBRARY, camera(city, 300));
    let mut other = camera(city, 300);
    (other["location"]["latitude"], other["direction"]) = (json!("25.043964"), json!("around"));
    city.publish(StatementKind::Camera, "cam_roof", LIBRARY, other);
    for to in [State::Permitted, State::Active] {
        step(city, "cam_door", to, &city.signer(LIBRARY)).unwrap();
    }
    for lang in ["en", "zh-Hant"] {
        for path in ["/register/cameras", DOOR, "/register/cameras/cam_roof", "/register/history/cam_door"] {
            let html = pages.get(path, lang).await.text;
            assert_eq!(faults(&html, lang), Vec::<String>::new(), "{path}");
        }
    }
    let list = pages.get("/register/cameras", "en").await.text;
    let map = between(&list, "<svg aria-hidden=\"true\"", "</svg>");
    assert_eq!((map.matches("<circle").count(), map.matches("class=\"view\"").count()), (2, 1), "one sees all around: {map}");
    assert!(
        map.contains("dot-active") && map.contains("dot-proposed") && !map.contains("http"),
        "nothing comes from elsewhere: {map}"
    );
    // The other one stands a hundredth of a degree to the north, which is a kilometre, on the same meridian.
    let spots: Vec<_> = map.split("<circle cx=\"").skip(1).map(|spot| spot.split('"').collect::<Vec<_>>()).collect();
    let (door, roof) = ((spots[0][0], spots[0][2].parse::<i64>().unwrap()), (spots[1][0], spots[1][2].parse::<i64>().unwrap()));
    assert_eq!((door.0, door.1 - roof.1), (roof.0, 1_000));
    assert!(map.contains(">200 m</text>"), "{map}");
    assert!(list.contains("1. Door") && list.contains("2. Door"), "the list has the same numbers");

    let page = pages.get(DOOR, "en").await.text;
    for said in [
        "25.033964, 121.564468",
        "to within 5 m",
        "North",
        "It hears nothing",
        "Nothing is kept",
        "https://library.example/view",
        "Nobody",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(page.contains("To protect a public building") && page.contains("house 12"), "the words of the law");
    let entry: Value = serde_json::from_str(&pages.get(&format!("{DOOR}.json"), "en").await.text).unwrap();
    assert!(page.contains(entry["hash"].as_str().unwrap()) && entry["body"]["audio"] == false);
    let table = pages.get("/register/cameras.csv", "en").await.text;
    assert!(
        table.lines().nth(1).unwrap().starts_with("cam_door,1,active,") && table.contains(",25.033964,121.564468,5,north,"),
        "{table}"
    );
    assert!(pages.get("/register/cameras.jsonld", "en").await.text.contains(DOOR));

    city.clock.advance(180 * DAY);
    let page = pages.get(DOOR, "en").await.text;
    assert!(page.contains("No: nothing of it is shown or kept") && page.contains("tag-overdue"), "before any job has run");
    assert!(pages.get("/register/late", "en").await.text.contains(&format!("href=\"{DOOR}\"")));
    city.app.run_supervision().unwrap();
    assert!(pages.get(DOOR, "zh-Hant").await.text.contains("停止提供影像"));
    step(city, "cam_roof", State::Removed, &city.signer(LIBRARY)[..1]).unwrap();
    let list = pages.get("/register/cameras", "en").await.text;
    assert_eq!(list.matches("<circle").count(), 1, "what is gone is not on the map");
    assert!(list.contains("2. Door"), "and stands last in the list");
    assert_eq!(pages.get("/register/cameras/cam_nothing", "en").await.status, StatusCode::NOT_FOUND);
}

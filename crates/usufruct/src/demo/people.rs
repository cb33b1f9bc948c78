//! Invented residents: the same for the same number on every run. Only their keys differ.

use usufruct_app::NewResident;
use usufruct_core::Time;
use usufruct_core::id::BlockId;

use super::city::{City, Persona};

/// What is invented about one resident.
struct Invented {
    name: String,
    born: (i16, u64, u64),
    district: String,
    language: &'static str,
}

/// A stream of numbers, the same for the same seed (SplitMix64). For names, never for keys.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }

    fn pick<'a>(&mut self, words: &'a [String]) -> &'a str {
        words.get(self.roll(words.len() as u64) as usize).map_or("", String::as_str)
    }
}

/// The resident with this number.
pub fn resident(city: &City, number: u64, now: Time) -> NewResident {
    let mut dice = Dice(number);
    let name = format!("{}{}", dice.pick(&city.surnames), dice.pick(&city.given_names));
    // Ages from 0 to 94, fewer of the old.
    let age = dice.roll(95).min(dice.roll(120));
    let born = (year(now) - i16::try_from(age).unwrap_or_default(), 1 + dice.roll(12), 1 + dice.roll(28));
    let language = if dice.roll(100) < 97 { "zh-Hant" } else { "en" };
    let invented = Invented { name, born, district: dice.pick(&city.districts).to_owned(), language };
    blocks(city, &invented, &mut dice, now)
}

/// A resident of the story.
pub fn persona(city: &City, persona: &Persona, now: Time) -> NewResident {
    let mut dice = Dice(1 << 60 | u64::from(persona.id));
    let (name, language) = if persona.language == "en" { (&persona.name.en, "en") } else { (&persona.name.zh_hant, "zh-Hant") };
    let born = (persona.birth_year, 1 + dice.roll(12), 1 + dice.roll(28));
    let invented = Invented { name: name.clone(), born, district: persona.district.clone(), language };
    blocks(city, &invented, &mut dice, now)
}

/// Every block of the city that this resident has.
fn blocks(city: &City, invented: &Invented, dice: &mut Dice, now: Time) -> NewResident {
    let (birth_year, month, day) = invented.born;
    let age = year(now) - birth_year;
    let answer = |holds: bool| (if holds { "yes" } else { "no" }).to_owned();
    let street = dice.pick(&city.streets).to_owned();
    let values = [
        ("name", invented.name.clone()),
        ("birth-date", format!("{birth_year:04}-{month:02}-{day:02}")),
        ("over-18", answer(age > 18)),
        ("residence-district", invented.district.clone()),
        ("address", format!("{}{}{street}{}號", city.head.name.zh_hant, invented.district, 1 + dice.roll(300))),
        ("mobile-phone", format!("0900-{:03}-{:03}", dice.roll(1_000), dice.roll(1_000))),
        ("email", format!("r{:09}@example.org", dice.roll(1_000_000_000))),
        ("preferred-language", invented.language.to_owned()),
        ("household-size", (1 + dice.roll(5)).to_string()),
        ("national-number", national_number(dice)),
        ("student-status", answer((6..23).contains(&age))),
        ("senior-status", answer(age >= 65)),
        ("library-card", format!("LW{:08}", dice.roll(100_000_000))),
        ("vaccination-record", format!("MMR 2; influenza {}", year(now) - i16::from(dice.roll(2) == 0))),
        ("disability-card", answer(dice.roll(20) == 0)),
    ];
    let known = |(slug, value): (&str, String)| {
        let id: BlockId = format!("blk_{slug}").parse().ok()?;
        city.blocks.iter().any(|(block, _)| *block == id).then_some((id, value))
    };
    NewResident { blocks: values.into_iter().filter_map(known).collect() }
}

/// A number of the national form whose check digit is wrong, so that it is nobody's.
fn national_number(dice: &mut Dice) -> String {
    let digits: Vec<u64> = std::iter::once(1 + dice.roll(2)).chain((0..7).map(|_| dice.roll(10))).collect();
    // The letter A counts 1 + 0 * 9; the digits count 8 down to 1.
    let sum: u64 = 1 + digits.iter().zip((1..=8).rev()).map(|(digit, weight)| digit * weight).sum::<u64>();
    let wrong = (10 - sum % 10 + 1) % 10;
    format!("A{}{wrong}", digits.iter().map(u64::to_string).collect::<String>())
}

fn year(now: Time) -> i16 {
    now.minguo_year() + 1911
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_the_same_on_every_run_and_their_numbers_are_nobodys() {
        let now: Time = "2026-11-20".parse().unwrap();
        let city = City::read(None, now).unwrap_or_else(|failure| panic!("{failure}"));
        for number in 0..200 {
            let one = resident(&city, number, now);
            assert_eq!(one.blocks, resident(&city, number, now).blocks);
            assert_eq!(one.blocks.len(), city.blocks.len(), "every block of the demo city is invented");
            let (_, id) = one.blocks.iter().find(|(block, _)| block.as_str() == "blk_national-number").unwrap();
            let digits: Vec<u64> = id[1..].bytes().map(|byte| u64::from(byte - b'0')).collect();
            let weights = [8, 7, 6, 5, 4, 3, 2, 1, 1];
            let sum = 1 + digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum::<u64>();
            assert_ne!(sum % 10, 0, "{id} would be a valid number");
        }
    }
}

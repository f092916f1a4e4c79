//! Who rides, and how strongly? The people of the crowd and their form in one race.
//!
//! Used by `crowd` alone. What always holds: a rider is a function of the seed and the place in the
//! crowd, a form of the seed, the race and the rider; all arithmetic is on integers, so it gives
//! the same on every machine. Cadence (rpm) and resistance (%) are counted in tenths.

use crate::connector::stand_in::generate::Draws;

/// Legal values of the two measures, in tenths.
const CADENCE: (i64, i64) = (300, 900);
const RESISTANCE: (i64, i64) = (330, 860);
/// The first rider's id: below it are ids that people type in by hand.
const RACER_ID_FIRST: u32 = 100;
/// Of 100 riders so many speed up to the end of the race; the others have their best in the middle
/// and then tire.
const CLIMBERS_PERCENT: u32 = 10;

/// Streams of draws.
const RIDERS: u64 = 2;
const FORMS: u64 = 3;

const NAMES: [&str; 48] = [
    "Ada",
    "Amara",
    "Anton",
    "Aoife",
    "Bao",
    "Bela",
    "Carla",
    "Chidi",
    "Dalia",
    "Dmitri",
    "Elena",
    "Emeka",
    "Farah",
    "Finn",
    "Giulia",
    "Hamid",
    "Hana",
    "Hugo",
    "Ines",
    "Ivo",
    "Jamila",
    "Jonas",
    "Kaito",
    "Katya",
    "Leila",
    "Lucas",
    "Magnus",
    "Mei",
    "Nadia",
    "Noor",
    "Olga",
    "Omar",
    "Paula",
    "Pedro",
    "Quynh",
    "Rania",
    "Rosa",
    "Sanjay",
    "Sofia",
    "Tariq",
    "Tove",
    "Uma",
    "Viktor",
    "Wanjiru",
    "Xenia",
    "Yusuf",
    "Zara",
    "Maximiliana",
];

/// What is permanent about a rider.
pub(crate) struct Rider {
    pub racer_id: u32,
    pub name: &'static str,
    /// How far this rider's clock is behind the whole second, in ms: below [`PHASE_MS`].
    pub phase_ms: u32,
    cadence: (i64, i64),
    resistance: (i64, i64),
}

/// Riders' clocks tick within the first part of a second; jitter takes the rest.
pub(crate) const PHASE_MS: u32 = 900;

/// The riders, in the crowd's order: lane by lane.
pub fn riders(seed: u64, count: u32) -> Vec<Rider> {
    let mut draws = Draws::new(seed, RIDERS, 0);
    let rider = |number| {
        let name = NAMES[draws.below(NAMES.len() as u32) as usize];
        let phase_ms = draws.below(PHASE_MS);
        let mut range = |(low, high): (i64, i64)| {
            let third = ((high - low) / 3) as u32;
            (low + i64::from(draws.below(third)), high - i64::from(draws.below(third)))
        };
        Rider {
            racer_id: RACER_ID_FIRST + number,
            name,
            phase_ms,
            cadence: range(CADENCE),
            resistance: range(RESISTANCE),
        }
    };
    (0..count).map(rider).collect()
}

/// A rider's form in one race.
pub struct Form {
    /// The second of the race with the best performance, from 1.
    peak: i64,
    cadence: (i64, i64),
    resistance: (i64, i64),
}

/// The forms of all riders in the race of a slot.
pub(crate) fn forms(seed: u64, slot: i64, riders: &[Rider], race_seconds: u32) -> Vec<Form> {
    let mut draws = Draws::new(seed, FORMS, slot as u64);
    let form = |rider: &Rider| {
        let is_climber = draws.below(100) < CLIMBERS_PERCENT;
        // In the middle four tenths of the race.
        let peak = race_seconds * 3 / 10 + draws.below(race_seconds * 4 / 10) + 1;
        let mut narrower = |(low, high): (i64, i64)| {
            let margin = ((high - low) / 5) as u32;
            (low + i64::from(draws.below(margin)), high - i64::from(draws.below(margin)))
        };
        let (cadence, resistance) = (narrower(rider.cadence), narrower(rider.resistance));
        Form { peak: i64::from(if is_climber { race_seconds } else { peak }), cadence, resistance }
    };
    riders.iter().map(form).collect()
}

impl Form {
    /// Cadence and resistance, in tenths, at a second of the race: a parabola with its top at the
    /// peak, and noise.
    pub fn at(&self, second: u32, race_seconds: u32, draws: &mut Draws) -> (u16, u16) {
        let off = i64::from(second) - self.peak;
        let reach = self.peak.max(i64::from(race_seconds) - self.peak).max(1);
        let (full, part) = (reach * reach, reach * reach - off * off);
        let mut measure = |(low, high): (i64, i64), (least, most): (i64, i64), noise: u32| {
            let noise = i64::from(draws.below(2 * noise + 1)) - i64::from(noise);
            (low + (high - low) * part / full + noise).clamp(least, most) as u16
        };
        (measure(self.cadence, CADENCE, 20), measure(self.resistance, RESISTANCE, 15))
    }
}

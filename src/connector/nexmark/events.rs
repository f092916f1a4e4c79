//! Which event is the n-th of a Nexmark auction house?
//!
//! Called by the reader for every event. What always holds: an event follows from the seed, the
//! options and its number alone, so that reading goes on at any event; no floating-point function
//! of the machine is used, so that a seed gives the same bytes everywhere. The shape is that of
//! the benchmark: events come in rounds of persons, then auctions, then bids; ids count on from
//! 1000; most bids go to a few hot auctions by a few hot bidders, and some to ids that are yet to
//! come. Unlike its first implementation, a bidder's id is that of a person.

use arrow::datatypes::TimeUnit;

use crate::connector::stand_in::generate::Draws;
use crate::format::json::write_string;
use crate::format::time_text::{self, TimestampStandard, ZoneSuffix};

const FIRST_ID: i64 = 1000;
const FIRST_CATEGORY: i64 = 10;
const CATEGORIES: u32 = 5;
/// One of so many persons or auctions is hot.
const HOT_EACH: i64 = 100;
/// Ids that may be used before they have come.
const ID_LEAD: i64 = 10;
/// Auctions that are open at a time, roughly.
const OPEN_AUCTIONS: i64 = 100;
/// Persons who bid and sell at a time.
const ACTIVE_PERSONS: i64 = 1000;
const CHANNELS: u32 = 10_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Tucson",
    "Oakland",
    "San Diego",
    "Nampa",
    "Salem",
    "Eugene",
    "Tacoma",
    "Spokane",
    "Laramie",
    "Casper",
];
const FIRST_NAMES: [&str; 10] =
    ["Ada", "Bruno", "Carla", "David", "Elsa", "Felix", "Greta", "Hugo", "Ines", "Jonas"];
const LAST_NAMES: [&str; 9] =
    ["Adams", "Baker", "Carter", "Dyer", "Evans", "Fisher", "Gray", "Hunter", "Ives"];

/// Streams of draws: of an event, and of what belongs to a channel whoever bids there.
const EVENT: u64 = 0x6e65_786d_6172_6b00;
const CHANNEL: u64 = EVENT + 1;

/// What the options say of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub seed: u64,
    /// Events of a second of event time.
    pub rate: u64,
    pub persons: i64,
    pub auctions: i64,
    pub bids: i64,
    /// Bytes of an event on average; what its columns do not take is filled up.
    pub person_bytes: u32,
    pub auction_bytes: u32,
    pub bid_bytes: u32,
    /// One of so many goes to an auction that is not hot.
    pub hot_auctions: u32,
    pub hot_bidders: u32,
    pub hot_sellers: u32,
}

/// The columns of the table that a query needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    pub event_type: bool,
    pub person: bool,
    pub auction: bool,
    pub bid: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Auction,
    Bid,
}

/// The events of a run.
#[derive(Debug, Clone)]
pub struct Events {
    pub shape: Shape,
    /// Event time of event 0, ms since the epoch.
    pub start_ms: i64,
    pub needed: Needed,
}

impl Events {
    pub fn time_ms(&self, event: u64) -> i64 {
        let since = u128::from(event) * 1000 / u128::from(self.shape.rate);
        self.start_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// The event as a JSON object of the columns that are needed.
    pub fn write(&self, event: u64, out: &mut Vec<u8>) {
        let kind = self.kind(event);
        let mut draws = Draws::new(self.shape.seed, EVENT, event);
        let mut object = Object::new(out);
        if self.needed.event_type {
            object.integer("event_type", kind as i64);
        }
        match kind {
            Kind::Person if self.needed.person => {
                object.nested("person", |row| self.person(event, &mut draws, row));
            }
            Kind::Auction if self.needed.auction => {
                object.nested("auction", |row| self.auction(event, &mut draws, row));
            }
            Kind::Bid if self.needed.bid => {
                object.nested("bid", |row| self.bid(event, &mut draws, row));
            }
            Kind::Person | Kind::Auction | Kind::Bid => {}
        }
        object.end();
    }

    fn round(&self) -> i64 {
        self.shape.persons + self.shape.auctions + self.shape.bids
    }

    /// The round of an event, and its place in it.
    fn place(&self, event: u64) -> (i64, i64) {
        // More events than that do not come: the reader counts up to i64::MAX.
        let event = i64::try_from(event).unwrap_or(i64::MAX);
        (event / self.round(), event % self.round())
    }

    fn kind(&self, event: u64) -> Kind {
        match self.place(event).1 {
            place if place < self.shape.persons => Kind::Person,
            place if place < self.shape.persons + self.shape.auctions => Kind::Auction,
            _ => Kind::Bid,
        }
    }

    /// The number, from 0, of the newest person when an event comes: its own if it is one. Before
    /// the first it is 0 too: ids run ahead anyway.
    fn newest_person(&self, event: u64) -> i64 {
        let (round, place) = self.place(event);
        (round * self.shape.persons + place.min(self.shape.persons - 1)).max(0)
    }

    /// The same for auctions.
    fn newest_auction(&self, event: u64) -> i64 {
        let (round, place) = self.place(event);
        let here = (place - self.shape.persons).clamp(-1, self.shape.auctions - 1);
        (round * self.shape.auctions + here).max(0)
    }

    /// Any person who is active, or soon will be.
    fn some_person(&self, event: u64, draws: &mut Draws) -> i64 {
        let persons = self.newest_person(event) + 1;
        let active = persons.min(ACTIVE_PERSONS);
        persons - active + below(draws, active + ID_LEAD)
    }

    /// Any auction that is open, or soon will be.
    fn some_auction(&self, event: u64, draws: &mut Draws) -> i64 {
        let newest = self.newest_auction(event);
        let oldest = (newest - OPEN_AUCTIONS).max(0);
        oldest + below(draws, newest - oldest + 1 + ID_LEAD)
    }

    fn person(&self, event: u64, draws: &mut Draws, row: &mut Object<'_>) {
        let name = format!("{} {}", one_of(&FIRST_NAMES, draws), one_of(&LAST_NAMES, draws));
        let email = format!("{}@{}.com", letters(draws, 7), letters(draws, 5));
        let card: Vec<String> = (0..4).map(|_| format!("{:04}", draws.below(10_000))).collect();
        let card = card.join(" ");
        let (city, state) = (one_of(&CITIES, draws), one_of(&STATES, draws));
        let taken = 8 + name.len() + email.len() + card.len() + city.len() + state.len();
        row.integer("id", FIRST_ID + self.newest_person(event));
        row.text("name", &name);
        row.text("emailAddress", &email);
        row.text("creditCard", &card);
        row.text("city", city);
        row.text("state", state);
        row.time("dateTime", self.time_ms(event));
        row.text("extra", &filling(draws, taken, self.shape.person_bytes));
    }

    fn auction(&self, event: u64, draws: &mut Draws, row: &mut Object<'_>) {
        let seller = if draws.below(self.shape.hot_sellers) > 0 {
            self.newest_person(event) / HOT_EACH * HOT_EACH
        } else {
            self.some_person(event, draws)
        };
        let category = FIRST_CATEGORY + i64::from(draws.below(CATEGORIES));
        let initial_bid = price(draws);
        let reserve = initial_bid + price(draws);
        let time_ms = self.time_ms(event);
        // On average until as many auctions have come as are open at a time.
        let ahead = OPEN_AUCTIONS * self.round() / self.shape.auctions.max(1);
        let horizon_ms = self.time_ms(event.saturating_add_signed(ahead)) - time_ms;
        let length_ms = 1 + below(draws, horizon_ms.saturating_mul(2).max(1));
        let (name, description) = (words(draws, 20), words(draws, 100));
        let taken = 48 + name.len() + description.len();
        row.integer("id", FIRST_ID + self.newest_auction(event));
        row.text("itemName", &name);
        row.text("description", &description);
        row.integer("initialBid", initial_bid);
        row.integer("reserve", reserve);
        row.time("dateTime", time_ms);
        row.time("expires", time_ms.saturating_add(length_ms));
        row.integer("seller", FIRST_ID + seller);
        row.integer("category", category);
        row.text("extra", &filling(draws, taken, self.shape.auction_bytes));
    }

    fn bid(&self, event: u64, draws: &mut Draws, row: &mut Object<'_>) {
        let auction = if draws.below(self.shape.hot_auctions) > 0 {
            self.newest_auction(event) / HOT_EACH * HOT_EACH
        } else {
            self.some_auction(event, draws)
        };
        let bidder = if draws.below(self.shape.hot_bidders) > 0 {
            // The one behind the hot seller, so that the two are not the same.
            self.newest_person(event) / HOT_EACH * HOT_EACH + 1
        } else {
            self.some_person(event, draws)
        };
        let price = price(draws);
        let (channel, url) = if draws.below(2) > 0 {
            let hot = draws.below(HOT_CHANNELS.len() as u32);
            (HOT_CHANNELS[hot as usize].to_string(), self.url(CHANNELS + hot))
        } else {
            let number = draws.below(CHANNELS);
            (format!("channel-{number}"), self.url(number))
        };
        row.integer("auction", FIRST_ID + auction);
        row.integer("bidder", FIRST_ID + bidder);
        row.integer("price", price);
        row.text("channel", &channel);
        row.text("url", &url);
        row.time("dateTime", self.time_ms(event));
        row.text("extra", &filling(draws, 32, self.shape.bid_bytes));
    }

    /// Where bids of a channel come from: always the same page. Nine of ten channels that are not
    /// hot say their id.
    fn url(&self, channel: u32) -> String {
        let mut draws = Draws::new(self.shape.seed, CHANNEL, channel.into());
        let folders: Vec<String> = (0..3).map(|_| folder(&mut draws)).collect();
        let mut url = format!("https://www.nexmark.com/{}/item.htm?query=1", folders.join("/"));
        if channel < CHANNELS && draws.below(10) > 0 {
            url.push_str("&channel_id=");
            url.push_str(
                itoa::Buffer::new().format((channel.reverse_bits() as i32).unsigned_abs()),
            );
        }
        url
    }
}

/// A number from 0 to `n` - 1, for any `n`.
fn below(draws: &mut Draws, n: i64) -> i64 {
    // `below` of 2^32 - 1 would miss one value: four parts of 16 bits miss none.
    let bits = (0..4).fold(0u64, |bits, _| bits << 16 | u64::from(draws.below(1 << 16)));
    ((u128::from(bits) * n.max(0) as u128) >> 64) as i64
}

fn one_of(words: &[&'static str], draws: &mut Draws) -> &'static str {
    words[draws.below(words.len() as u32) as usize]
}

/// From 100 to 100,000,000, as often between 10 and 20 times the least as between 100 and 200.
fn price(draws: &mut Draws) -> i64 {
    let decades = draws.below(6);
    let mut bits = draws.below(1 << 16);
    let (mut root, mut part) = (10f64, 1f64);
    // 10 to the power of a fraction, from its binary digits: square roots and products round the
    // same on every machine.
    for _ in 0..16 {
        root = root.sqrt();
        if bits & 0x8000 != 0 {
            part *= root;
        }
        bits <<= 1;
    }
    (part * 100.0 * f64::from(10u32.pow(decades))).round() as i64
}

/// From 3 to `length_max` - 1 letters, with a blank here and there.
fn words(draws: &mut Draws, length_max: u32) -> String {
    let length = 3 + draws.below(length_max - 3);
    let mut text = String::with_capacity(length as usize);
    for _ in 0..length {
        match draws.below(13) {
            0 => text.push(' '),
            _ => text.push(letter(draws.below(26))),
        }
    }
    text.trim().to_string()
}

fn letters(draws: &mut Draws, length_max: u32) -> String {
    let length = 3 + draws.below(length_max - 3);
    (0..length).map(|_| letter(draws.below(26))).collect()
}

fn folder(draws: &mut Draws) -> String {
    let length = 3 + draws.below(2);
    let mut character = || match draws.below(13) {
        0 => '_',
        other => letter(other * 2),
    };
    (0..length).map(|_| character()).collect()
}

/// What an event of `taken` bytes lacks to its size, give or take a fifth.
fn filling(draws: &mut Draws, taken: usize, bytes: u32) -> String {
    let lacks = bytes.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
    let fifth = lacks / 5;
    let length = lacks - fifth + draws.below(2 * fifth);
    let mut text = String::with_capacity(length as usize);
    let (mut number, mut left) = (0, 0);
    for _ in 0..length {
        if left == 0 {
            // Six letters of one draw.
            (number, left) = (draws.below(26u32.pow(6)), 6);
        }
        text.push(letter(number % 26));
        number /= 26;
        left -= 1;
    }
    text
}

fn letter(number: u32) -> char {
    char::from(b'a' + (number % 26) as u8)
}

/// A JSON object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    fn new(out: &mut Vec<u8>) -> Object<'_> {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    fn key(&mut self, key: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_string(self.out, key);
        self.out.push(b':');
    }

    fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_string(self.out, value);
    }

    fn time(&mut self, key: &str, time_ms: i64) {
        self.key(key);
        self.out.push(b'"');
        let (unit, standard) = (TimeUnit::Millisecond, TimestampStandard::Sql);
        time_text::write_timestamp(self.out, time_ms, unit, ZoneSuffix::of(None), standard);
        self.out.push(b'"');
    }

    fn nested(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        let mut object = Object::new(self.out);
        write(&mut object);
        object.end();
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

//! What does `Provider.method` give?
//!
//! Called for each value. Names are those of Datafaker, in lower case and without underscores; the
//! words are short lists of our own. What always holds: a provider without a list gives words that
//! say what they stand for, from a small set, so that queries group and join them.

use chrono::DateTime;

use super::regexify;
use crate::connector::stand_in::generate::Draws;

/// Different words of a provider that has no list.
const UNKNOWN_WORDS: u32 = 20;

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Ben", "Clara", "Dario", "Elena", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Katja",
    "Leo", "Mara", "Nils", "Olga", "Paul",
];
const LAST_NAMES: [&str; 16] = [
    "Abbott", "Bauer", "Costa", "Dubois", "Ekman", "Fischer", "Garcia", "Hansen", "Ivanov",
    "Jensen", "Kowalski", "Lopez", "Meyer", "Novak", "Olsen", "Petrov",
];
const PREFIXES: [&str; 4] = ["Mr.", "Mrs.", "Ms.", "Dr."];
const CITIES: [&str; 12] = [
    "Aarhus", "Bergen", "Cork", "Dresden", "Essen", "Faro", "Ghent", "Haifa", "Izmir", "Jaipur",
    "Kyoto", "Lyon",
];
const STREETS: [&str; 8] = [
    "Ash Street",
    "Birch Road",
    "Cedar Lane",
    "Dock Street",
    "Elm Road",
    "Ford Lane",
    "Gate Street",
    "Hill Road",
];
const STATES: [&str; 8] =
    ["Alabama", "California", "Georgia", "Illinois", "Nevada", "New York", "Oregon", "Texas"];
const COUNTRIES: [&str; 10] = [
    "Austria", "Brazil", "Canada", "Denmark", "Egypt", "France", "Germany", "India", "Japan",
    "Kenya",
];
const COUNTRY_CODES: [&str; 10] = ["AT", "BR", "CA", "DK", "EG", "FR", "DE", "IN", "JP", "KE"];
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tokyo",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "Australia/Sydney",
];
const COMPANIES: [&str; 8] = [
    "Abbott Group",
    "Bauer and Sons",
    "Costa Ltd",
    "Dubois Inc",
    "Ekman LLC",
    "Fischer GmbH",
    "Garcia SA",
    "Hansen AS",
];
const INDUSTRIES: [&str; 6] = ["Banking", "Energy", "Farming", "Retail", "Shipping", "Software"];
const PROFESSIONS: [&str; 8] =
    ["baker", "carpenter", "doctor", "engineer", "gardener", "lawyer", "pilot", "teacher"];
const PRODUCTS: [&str; 10] = [
    "Oak Chair",
    "Steel Lamp",
    "Linen Shirt",
    "Paper Clock",
    "Wool Hat",
    "Glass Bottle",
    "Stone Table",
    "Copper Pan",
    "Cotton Bag",
    "Silk Scarf",
];
const DEPARTMENTS: [&str; 8] =
    ["Books", "Clothing", "Electronics", "Games", "Garden", "Music", "Sports", "Toys"];
const MATERIALS: [&str; 6] = ["Cotton", "Glass", "Linen", "Paper", "Steel", "Wood"];
const COLORS: [&str; 10] =
    ["black", "blue", "brown", "green", "grey", "orange", "purple", "red", "white", "yellow"];
const CURRENCIES: [(&str, &str); 8] = [
    ("EUR", "Euro"),
    ("USD", "US Dollar"),
    ("GBP", "Pound Sterling"),
    ("JPY", "Yen"),
    ("CNY", "Yuan"),
    ("INR", "Rupee"),
    ("BRL", "Real"),
    ("CHF", "Swiss Franc"),
];
const WORDS: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty",
    "knoll", "lagoon", "meadow", "north", "ocean", "prairie",
];
const ANIMALS: [&str; 8] = ["badger", "crane", "dog", "eagle", "fox", "goat", "heron", "lynx"];
const FOODS: [&str; 8] = ["apple", "bread", "cheese", "dates", "eggs", "figs", "grapes", "honey"];
const BEERS: [&str; 6] =
    ["Amber Ale", "Brown Porter", "Dark Lager", "Dry Stout", "Pale Ale", "Wheat Beer"];
const MOVIES: [&str; 6] =
    ["A Long Night", "Blue Harbour", "Cold River", "Dust", "Empty Road", "First Snow"];
const STARS: [&str; 6] = ["Altair", "Betelgeuse", "Capella", "Deneb", "Rigel", "Vega"];
const PLANETS: [&str; 8] =
    ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"];
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DOMAINS: [&str; 6] =
    ["example.com", "example.org", "example.net", "shop.example", "mail.example", "news.example"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36",
];
const BROWSERS: [&str; 5] = ["chrome", "firefox", "safari", "edge", "opera"];
const SYSTEMS: [&str; 5] = ["Android", "iOS", "Linux", "macOS", "Windows"];
const EXTENSIONS: [&str; 6] = ["csv", "jpg", "json", "pdf", "png", "txt"];
const AIRPORTS: [&str; 8] = ["AMS", "CDG", "DXB", "FRA", "HND", "JFK", "LHR", "SIN"];
const VEHICLES: [&str; 6] = ["Audi", "Fiat", "Ford", "Honda", "Toyota", "Volvo"];
const HEROES: [&str; 6] =
    ["Iron Heron", "Night Fox", "Quick Lynx", "Red Comet", "Silver Crane", "Storm Eagle"];

fn one<'a>(draws: &mut Draws, words: &[&'a str]) -> &'a str {
    let at = draws.below(u32::try_from(words.len()).unwrap_or(u32::MAX));
    words.get(at as usize).copied().unwrap_or_default()
}

/// The value of a call.
pub(super) fn value(name: &str, arguments: &[String], draws: &mut Draws, time_ms: i64) -> String {
    let (provider, method) = name.split_once('.').unwrap_or(("", name));
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    let number = |at: usize| argument(at).and_then(|text| text.trim().parse::<f64>().ok());
    match (provider, method) {
        (_, "regexify") => regexify::text(argument(0).unwrap_or_default(), draws),
        (_, "numerify" | "letterify" | "bothify" | "examplify" | "templatify") => {
            filled(argument(0).unwrap_or_default(), method, draws)
        }
        ("options", _) | ("", "option") => {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            one(draws, &words).to_string()
        }
        ("number", _) => numbers(method, &number, draws),
        ("date" | "time" | "timeanddate", _) => dates(method, arguments, draws, time_ms),
        ("bool" | "boolean", _) => (draws.below(2) == 1).to_string(),
        ("internet", _) => internet(method, draws),
        ("", "json" | "jsona") => json(arguments),
        ("name" | "artist" | "author", _) => names(method, draws),
        ("random", "hex") | ("crypto", _) => hex(draws, if method == "hex" { 8 } else { 32 }),
        _ => words(provider, method, draws),
    }
}

fn names(method: &str, draws: &mut Draws) -> String {
    let first = one(draws, &FIRST_NAMES);
    let last = one(draws, &LAST_NAMES);
    match method {
        "firstname" | "malefirstname" | "femalefirstname" => first.into(),
        "lastname" => last.into(),
        "prefix" => one(draws, &PREFIXES).into(),
        "suffix" => one(draws, &["Jr.", "Sr.", "II", "III"]).into(),
        "username" => format!("{}.{}", first.to_lowercase(), last.to_lowercase()),
        "title" => one(draws, &PROFESSIONS).into(),
        "namewithmiddle" => format!("{first} {} {last}", one(draws, &FIRST_NAMES)),
        _ => format!("{first} {last}"),
    }
}

fn numbers(method: &str, number: &dyn Fn(usize) -> Option<f64>, draws: &mut Draws) -> String {
    // A share from 0 up to 1 of 53 bits.
    let mut part = || {
        let bits = (u64::from(draws.below(1 << 27)) << 26) | u64::from(draws.below(1 << 26));
        bits as f64 / (1u64 << 53) as f64
    };
    match method {
        // The upper end does not count.
        "numberbetween" => {
            let (from, to) = (number(0).unwrap_or(0.0), number(1).unwrap_or(f64::from(i32::MAX)));
            let (from, to) = (from.floor() as i64, to.floor() as i64);
            let span = i128::from(to) - i128::from(from);
            let drawn = (part() * span.max(1) as f64) as i128;
            (i128::from(from) + drawn.min(span.max(1) - 1)).to_string()
        }
        "randomdouble" => {
            let digits = number(0).unwrap_or(2.0).clamp(0.0, 15.0) as usize;
            let (from, to) = (number(1).unwrap_or(0.0), number(2).unwrap_or(100.0));
            format!("{:.digits$}", from + part() * (to - from))
        }
        "digit" | "randomdigit" => ((part() * 10.0) as u32).to_string(),
        "randomdigitnotzero" => (1 + (part() * 9.0) as u32).to_string(),
        "digits" => {
            let count = number(0).unwrap_or(1.0).clamp(1.0, 100.0) as usize;
            (0..count).map(|_| char::from(b'0' + (part() * 10.0) as u8)).collect()
        }
        "negative" => (-1 - (part() * 1e9) as i64).to_string(),
        "positive" => (1 + (part() * 1e9) as i64).to_string(),
        "randomnumber" => {
            let digits = number(0).unwrap_or(9.0).clamp(1.0, 18.0) as i32;
            ((part() * 10f64.powi(digits)) as i64).to_string()
        }
        _ => ((part() * 1e6) as i64).to_string(),
    }
}

/// `past '15','5','SECONDS'`: at most 15 and at least 5 seconds before the row's time.
fn dates(method: &str, arguments: &[String], draws: &mut Draws, time_ms: i64) -> String {
    let unit_ms = match arguments.last().map(|unit| unit.trim().to_uppercase()).as_deref() {
        Some("DAYS" | "DAY") => 86_400_000,
        Some("HOURS" | "HOUR") => 3_600_000,
        Some("MINUTES" | "MINUTE") => 60_000,
        Some("MILLISECONDS" | "MILLIS") => 1,
        _ => 1000,
    };
    let counts: Vec<i64> = arguments.iter().filter_map(|text| text.trim().parse().ok()).collect();
    let most = counts.first().copied().unwrap_or(1).max(0).saturating_mul(unit_ms);
    let least = counts.get(1).copied().unwrap_or(0).max(0).saturating_mul(unit_ms);
    let mut within = |from: i64, to: i64| {
        let span = i128::from(to) - i128::from(from) + 1;
        let bits = (i128::from(draws.below(1 << 31)) << 31) | i128::from(draws.below(1 << 31));
        from.saturating_add(((bits * span.max(1)) >> 62) as i64)
    };
    let year_ms = 365 * 86_400_000;
    let time_ms = match method {
        "past" => time_ms.saturating_sub(within(least.min(most), most)),
        "future" => time_ms.saturating_add(within(least.min(most), most)),
        "birthday" => within(time_ms - 65 * year_ms, time_ms - 18 * year_ms),
        "between" => {
            let at = |i: usize| arguments.get(i).and_then(|t| moment(t)).unwrap_or(time_ms);
            let (from, to) = (at(0), at(1));
            within(from.min(to), to.max(from))
        }
        _ => time_ms,
    };
    let time = DateTime::from_timestamp_millis(time_ms).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn moment(text: &str) -> Option<i64> {
    let text = text.trim().replace('T', " ");
    let time = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok();
    let day = || chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    Some(time.or_else(day)?.and_utc().timestamp_millis())
}

fn internet(method: &str, draws: &mut Draws) -> String {
    let byte = |draws: &mut Draws| 1 + draws.below(254);
    match method {
        "uuid" | "uuidv3" | "uuidv4" | "uuidv7" => {
            let digits = hex(draws, 32);
            format!(
                "{}-{}-4{}-a{}-{}",
                &digits[..8],
                &digits[8..12],
                &digits[13..16],
                &digits[17..20],
                &digits[20..]
            )
        }
        "emailaddress" | "safeemailaddress" => {
            format!("{}@{}", names("username", draws), one(draws, &DOMAINS))
        }
        "username" | "slug" => names("username", draws),
        "domainname" => one(draws, &DOMAINS).into(),
        "domainword" => one(draws, &WORDS).into(),
        "domainsuffix" => one(draws, &["com", "net", "org"]).into(),
        "url" | "image" | "avatar" => {
            format!("https://www.{}/{}", one(draws, &DOMAINS), one(draws, &WORDS))
        }
        "ipv4address" | "publicipv4address" | "ipaddress" => {
            format!("203.{}.{}.{}", byte(draws), byte(draws), byte(draws))
        }
        "privateipv4address" => format!("10.{}.{}.{}", byte(draws), byte(draws), byte(draws)),
        "ipv6address" => {
            let parts: Vec<String> = (0..7).map(|_| hex(draws, 4)).collect();
            format!("2001:{}", parts.join(":"))
        }
        "macaddress" => {
            let parts: Vec<String> = (0..6).map(|_| hex(draws, 2)).collect();
            parts.join(":")
        }
        "password" => hex(draws, 12),
        "useragent" | "useragentany" | "botuseragent" | "botuseragentany" => {
            one(draws, &AGENTS).into()
        }
        "httpmethod" => one(draws, &["GET", "POST", "PUT", "DELETE", "PATCH"]).into(),
        "port" => (1024 + draws.below(64_000)).to_string(),
        _ => words("internet", method, draws),
    }
}

/// `key, value, key, value`: an object.
fn json(arguments: &[String]) -> String {
    let pairs = arguments.chunks(2).filter_map(|pair| match pair {
        [key, value] => Some((key.trim().to_string(), serde_json::Value::from(value.as_str()))),
        _ => None,
    });
    serde_json::Value::Object(pairs.collect()).to_string()
}

fn hex(draws: &mut Draws, digits: usize) -> String {
    (0..digits).map(|_| char::from(b"0123456789abcdef"[draws.below(16) as usize])).collect()
}

/// `#` is a digit, `?` a letter.
fn filled(pattern: &str, method: &str, draws: &mut Draws) -> String {
    let mut fill = |letter: char| match letter {
        '#' if method != "letterify" => char::from(b'0' + draws.below(10) as u8),
        '?' if method != "numerify" => char::from(b'a' + draws.below(26) as u8),
        'a'..='z' if method == "examplify" => char::from(b'a' + draws.below(26) as u8),
        'A'..='Z' if method == "examplify" => char::from(b'A' + draws.below(26) as u8),
        '0'..='9' if method == "examplify" => char::from(b'0' + draws.below(10) as u8),
        other => other,
    };
    pattern.chars().map(&mut fill).collect()
}

/// A word of a list.
fn words(provider: &str, method: &str, draws: &mut Draws) -> String {
    let list: &[&str] = match (provider, method) {
        ("address", "city" | "cityname") => &CITIES,
        ("address", "streetname" | "street") => &STREETS,
        ("address", "state") => &STATES,
        ("address", "stateabbr") => &["AL", "CA", "GA", "IL", "NV", "NY", "OR", "TX"],
        ("address", "country") | ("country" | "nation", "name") => &COUNTRIES,
        ("address", "countrycode") | ("country", "countrycode2") => &COUNTRY_CODES,
        ("address", "timezone") => &ZONES,
        ("company", "industry") => &INDUSTRIES,
        ("company", "profession") | ("job", "title" | "position") => &PROFESSIONS,
        ("company", "name") | ("business", "name") => &COMPANIES,
        ("job", "field") => &INDUSTRIES,
        ("job", "seniority") => &["junior", "senior", "lead"],
        ("commerce", "productname") => &PRODUCTS,
        ("commerce", "department") => &DEPARTMENTS,
        ("commerce", "material") => &MATERIALS,
        ("commerce", "brand" | "vendor") => &COMPANIES,
        ("color" | "commerce", "name" | "color") => &COLORS,
        ("finance", "stockmarket") => &["FRA", "HKG", "LSE", "NYSE", "TSE"],
        ("stock", _) => &["ACME", "BIRC", "CEDR", "DLTA", "EMBR", "FJRD"],
        ("lorem", "word") => &WORDS,
        ("animal" | "cat" | "dog", _) => &ANIMALS,
        ("food" | "dessert", _) => &FOODS,
        ("coffee" | "beer" | "tea", _) => &BEERS,
        ("book" | "movie" | "show", _) => &MOVIES,
        ("space", "planet") => &PLANETS,
        ("space", _) => &STARS,
        ("file", "extension") => &EXTENSIONS,
        ("file", "mimetype") => &["application/json", "image/png", "text/csv", "text/html"],
        ("device", "platform") | ("computer", "operatingsystem" | "platform") => &SYSTEMS,
        ("device", "manufacturer") => &COMPANIES,
        ("internet", "browser") => &BROWSERS,
        ("aviation", "airport") => &AIRPORTS,
        ("vehicle", "make" | "manufacturer") => &VEHICLES,
        ("vehicle", "color") => &COLORS,
        ("vehicle", "fueltype") => &["Diesel", "Electric", "Hybrid", "Petrol"],
        ("superhero", "name") => &HEROES,
        ("weather", "description") => &["Clear", "Cloudy", "Fog", "Rain", "Snow", "Storm"],
        ("demographic", "sex") | ("gender", _) => &["Female", "Male"],
        ("medical", _) => &["aspirin", "insulin", "paracetamol", "penicillin"],
        ("university", _) => &["University of Aarhus", "University of Cork", "University of Lyon"],
        ("music", "instrument") => &["cello", "drums", "flute", "guitar", "piano", "violin"],
        ("music", "genre") => &["blues", "classical", "folk", "jazz", "rock"],
        ("team", "sport") | ("football" | "basketball", _) => {
            &["FC Bergen", "FC Cork", "FC Faro", "FC Lyon"]
        }
        (_, "dayofweek") => &WEEKDAYS,
        _ => return composed(provider, method, draws),
    };
    one(draws, list).to_string()
}

/// What is put together, and what has no list.
fn composed(provider: &str, method: &str, draws: &mut Draws) -> String {
    let digits = |draws: &mut Draws, count: usize| filled(&"#".repeat(count), "numerify", draws);
    match (provider, method) {
        ("address", "fulladdress" | "streetaddress") => {
            let street = format!("{} {}", 1 + draws.below(200), one(draws, &STREETS));
            match method {
                "streetaddress" => street,
                _ => format!(
                    "{street}, {}, {} {}",
                    one(draws, &CITIES),
                    one(draws, &STATES),
                    digits(draws, 5)
                ),
            }
        }
        ("address", "zipcode" | "postcode") => digits(draws, 5),
        ("address", "buildingnumber" | "streetaddressnumber") => (1 + draws.below(200)).to_string(),
        ("address", "latitude") => {
            format!("{:.6}", f64::from(draws.below(180_000_000)) / 1e6 - 90.0)
        }
        ("address", "longitude" | "lonlat") => {
            format!("{:.6}", f64::from(draws.below(360_000_000)) / 1e6 - 180.0)
        }
        ("currency", _) => {
            let (code, name) = CURRENCIES[draws.below(CURRENCIES.len() as u32) as usize];
            if method == "code" { code.into() } else { name.into() }
        }
        ("commerce", "price") => {
            format!("{}.{:02}", draws.below(1000), draws.below(100))
        }
        ("commerce", "promotioncode") => format!("{}{}", one(draws, &COLORS), digits(draws, 6)),
        ("finance", "creditcard") | ("business", "creditcardnumber") => {
            format!(
                "{}-{}-{}-{}",
                digits(draws, 4),
                digits(draws, 4),
                digits(draws, 4),
                digits(draws, 4)
            )
        }
        ("business", "creditcardtype") => one(draws, &["amex", "mastercard", "visa"]).into(),
        ("finance", "iban") => format!("DE{}", digits(draws, 20)),
        ("finance", "bic") => format!("ABCD{}", one(draws, &COUNTRY_CODES)),
        ("phonenumber", _) => format!("+49-555-{}", digits(draws, 7)),
        ("idnumber", _) => {
            format!("{}-{}-{}", digits(draws, 3), digits(draws, 2), digits(draws, 4))
        }
        ("code", _) => digits(draws, 13),
        ("color", "hex") => format!("#{}", hex(draws, 6)),
        ("file", "filename") => format!("{}.{}", one(draws, &WORDS), one(draws, &EXTENSIONS)),
        ("app", "version") => format!("{}.{}.{}", draws.below(5), draws.below(10), draws.below(20)),
        ("app", "name") => one(draws, &WORDS).into(),
        ("lorem", "sentence" | "paragraph" | "words" | "sentences" | "characters") => {
            let all: Vec<&str> = (0..6).map(|_| one(draws, &WORDS)).collect();
            all.join(" ")
        }
        ("weather", _) => format!("{}°C", draws.below(40)),
        ("vehicle", "vin") => hex(draws, 17).to_uppercase(),
        ("vehicle", "licenseplate") => filled("??-####", "bothify", draws).to_uppercase(),
        ("company", _) => one(draws, &COMPANIES).into(),
        ("job", _) => one(draws, &PROFESSIONS).into(),
        ("hash" | "hashing", _) => hex(draws, 32),
        _ => {
            let noun = if method.is_empty() { provider } else { method };
            format!("{noun} {}", 1 + draws.below(UNKNOWN_WORDS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, arguments: &[&str], row: u64) -> String {
        let arguments: Vec<String> = arguments.iter().map(|a| a.to_string()).collect();
        value(name, &arguments, &mut Draws::new(1, 2, row), 1_700_000_000_000)
    }

    #[test]
    fn numbers_and_dates_lie_between_their_bounds() {
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..500 {
            let number: i64 =
                of("number.numberbetween", &["-3", "2"], row).parse().expect("a number");
            assert!((-3..2).contains(&number));
            seen.insert(number);
            let double: f64 =
                of("number.randomdouble", &["2", "1", "5"], row).parse().expect("a number");
            assert!((1.0..=5.0).contains(&double));
            let past = moment(&of("date.past", &["15", "5", "SECONDS"], row)).expect("a time");
            assert!((5_000..=15_000).contains(&(1_700_000_000_000 - past)), "{past}");
            let future = moment(&of("date.future", &["2", "DAYS"], row)).expect("a time");
            assert!((0..=172_800_000).contains(&(future - 1_700_000_000_000)));
        }
        assert_eq!(seen.len(), 5, "every value comes");
        let wide = ["-9223372036854775808", "9223372036854775807"];
        assert!(of("number.numberbetween", &wide, 1).parse::<i128>().is_ok());
    }

    #[test]
    fn the_commonest_providers_give_what_their_names_say() {
        assert!(of("options.option", &["x", "y"], 3).len() == 1);
        assert!(of("internet.uuid", &[], 3).len() == 36);
        assert!(of("internet.emailaddress", &[], 3).contains('@'));
        assert!(of("numerify", &["user_##"], 3).starts_with("user_"));
        assert_eq!(of("json", &["a", "b"], 3), r#"{"a":"b"}"#);
        assert!(of("harrypotter.spell", &[], 3).starts_with("spell "));
        for name in
            ["name.fullname", "address.fulladdress", "currency.code", "lorem.sentence", "bool.bool"]
        {
            assert!(!of(name, &[], 4).is_empty(), "{name}");
        }
    }
}

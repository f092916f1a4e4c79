//! Formats whose records say what has become of a table's rows: debezium-json, canal-json and
//! maxwell-json, as Flink reads them.
//!
//! Made by `connect` for tables of such a format. The step makes a record of each image of a row,
//! with what it does to the table ([`RawBatch::ops`]), and JSON decodes the images. What always
//! holds: a message gives all of its changes or none; an update is two of them, what was before and
//! what is after; an image is the text of the message, or members of it put together.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::{Members, first, shortened};
use super::{Counts, Unpack, Unpacked};
use crate::change::Op;
use crate::format::ParseErrors;
use crate::record::{Parts, Places, RawBatch};

/// How messages say what has changed.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    Debezium {
        schema: Schema,
    },
    Canal {
        /// Messages of other databases and tables are left out.
        database: Option<Regex>,
        table: Option<Regex>,
    },
    Maxwell,
}

/// Whether a Debezium message has its schema around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    Included,
    LeftOut,
}

/// Opens messages of one form.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    pub form: Form,
    pub errors: ParseErrors,
}

impl Unpack for Changes {
    fn records_max(&self) -> Option<usize> {
        None
    }

    fn unpack(&mut self, raw: RawBatch) -> Unpacked {
        let mut images = RawBatch::default();
        let (mut records, mut numbers, mut ops) = (Vec::new(), Vec::new(), Vec::new());
        let (mut unusable, mut counts) = (Vec::new(), Counts::default());
        let mut changes = Vec::new();
        for i in 0..raw.len() {
            let record = raw.record(i);
            changes.clear();
            match self.read(record, &mut changes) {
                Ok(()) => {
                    for (number, (op, image)) in changes.drain(..).enumerate() {
                        images.push(|bytes| bytes.extend_from_slice(image.as_bytes()));
                        records.push(i as u32);
                        numbers.push(Some(number as u32));
                        ops.push(op);
                    }
                }
                Err(_) if self.errors == ParseErrors::Ignored => counts.skipped += 1,
                Err(reason) => {
                    let name = self.form.name();
                    unusable.push(
                        raw.unusable(i, format!("the {name} message cannot be read: {reason}")),
                    );
                }
            }
        }
        images.metadata = raw.metadata_of(&records);
        let parts = Some(Parts { what: "change", numbers });
        images.places = Places::Within { source: Box::new(raw.places), records, parts };
        images.ops = Some(ops);
        Unpacked { raw: images, unusable, counts }
    }
}

impl Changes {
    /// The changes that a message tells of.
    fn read(&self, record: &[u8], out: &mut Vec<(Op, String)>) -> Result<(), String> {
        if record.is_empty() {
            return Ok(());
        }
        let message = first(record)?;
        match &self.form {
            Form::Debezium { schema } => {
                let payload = match schema {
                    Schema::Included => {
                        let payload = message.get("payload").ok_or("it has no 'payload'")?;
                        first(payload.get().as_bytes())?
                    }
                    Schema::LeftOut => message,
                };
                debezium(&payload, out)
            }
            Form::Canal { database, table } => {
                let is_other = |wanted: &Option<Regex>, member: &str| match wanted {
                    Some(wanted) => {
                        text(&message, member).is_none_or(|name| !wanted.is_match(&name))
                    }
                    None => false,
                };
                if is_other(database, "database") || is_other(table, "table") {
                    return Ok(());
                }
                canal(&message, out)
            }
            Form::Maxwell => maxwell(&message, out),
        }
    }
}

impl Form {
    fn name(&self) -> &'static str {
        match self {
            Form::Debezium { .. } => "debezium-json",
            Form::Canal { .. } => "canal-json",
            Form::Maxwell => "maxwell-json",
        }
    }
}

fn debezium(message: &Members<'_>, out: &mut Vec<(Op, String)>) -> Result<(), String> {
    let image = |member: &str| {
        present(message, member).map(|value| value.get().to_string()).ok_or_else(|| match member {
            "before" => "its 'before' is null: where it comes from Postgres, the table has to have REPLICA IDENTITY FULL".to_string(),
            other => format!("its '{other}' is null"),
        })
    };
    match text(message, "op").as_deref() {
        Some("c" | "r") => out.push((Op::Insert, image("after")?)),
        Some("u") => {
            let (before, after) = (image("before")?, image("after")?);
            out.extend([(Op::UpdateBefore, before), (Op::UpdateAfter, after)]);
        }
        Some("d") => out.push((Op::Delete, image("before")?)),
        other => return Err(unknown("op", other)),
    }
    Ok(())
}

fn canal(message: &Members<'_>, out: &mut Vec<(Op, String)>) -> Result<(), String> {
    let rows = |member: &str| -> Result<Vec<&RawValue>, String> {
        let value = present(message, member).ok_or_else(|| format!("its '{member}' is null"))?;
        serde_json::from_str(value.get()).map_err(|e| format!("its '{member}': {e}"))
    };
    match text(message, "type").as_deref() {
        Some("INSERT") => {
            out.extend(rows("data")?.iter().map(|row| (Op::Insert, row.get().to_string())));
        }
        Some("DELETE") => {
            out.extend(rows("data")?.iter().map(|row| (Op::Delete, row.get().to_string())));
        }
        Some("UPDATE") => {
            let (data, old) = (rows("data")?, rows("old")?);
            if data.len() != old.len() {
                return Err("its 'data' and 'old' have not as many rows".into());
            }
            let named = present(message, "old").map(names).unwrap_or_default();
            let mut changes = Vec::with_capacity(2 * data.len());
            for (after, old) in data.iter().zip(old) {
                changes.push((Op::UpdateBefore, before(after, old, &named)?));
                changes.push((Op::UpdateAfter, after.get().to_string()));
            }
            out.append(&mut changes);
        }
        // A change of the table itself.
        Some("CREATE") => {}
        other => return Err(unknown("type", other)),
    }
    Ok(())
}

fn maxwell(message: &Members<'_>, out: &mut Vec<(Op, String)>) -> Result<(), String> {
    let image =
        |member: &str| present(message, member).ok_or_else(|| format!("its '{member}' is null"));
    let data = || Ok::<String, String>(image("data")?.get().to_string());
    match text(message, "type").as_deref() {
        Some("insert") => out.push((Op::Insert, data()?)),
        Some("delete") => out.push((Op::Delete, data()?)),
        Some("update") => {
            let (after, old) = (image("data")?, image("old")?);
            let before = before(after, old, &names(old))?;
            out.extend([(Op::UpdateBefore, before), (Op::UpdateAfter, after.get().to_string())]);
        }
        other => return Err(unknown("type", other)),
    }
    Ok(())
}

/// The image before an update of which only the members are told that have changed. `named`: all
/// names that stand anywhere in what is told of old rows. As in Flink a member that is named there,
/// and not in the row, is NULL.
fn before(after: &RawValue, old: &RawValue, named: &BTreeSet<String>) -> Result<String, String> {
    let old = first(old.get().as_bytes())?;
    let after = first(after.get().as_bytes())?;
    let kept = after.into_iter().filter(|(name, _)| !named.contains(name));
    let mut image = String::from("{");
    for (name, value) in old.into_iter().chain(kept) {
        if image.len() > 1 {
            image.push(',');
        }
        image.push_str(&Value::String(name).to_string());
        image.push(':');
        image.push_str(value.get());
    }
    image.push('}');
    Ok(image)
}

/// All names of members, at any depth.
fn names(value: &RawValue) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut left: Vec<Value> = serde_json::from_str(value.get()).into_iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    names.insert(name);
                    left.push(value);
                }
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
    names
}

fn unknown(member: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => {
            format!("its '{member}' is '{}', which says nothing of a row", shortened(value))
        }
        None => format!("it has no '{member}'"),
    }
}

fn present<'a>(message: &Members<'a>, member: &str) -> Option<&'a RawValue> {
    message.get(member).copied().filter(|value| value.get() != "null")
}

fn text(message: &Members<'_>, member: &str) -> Option<String> {
    serde_json::from_str(present(message, member)?.get()).ok()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::support::damage::damage;
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;

    fn unpack(form: &Form, errors: ParseErrors, records: &[&[u8]]) -> Unpacked {
        let mut raw = RawBatch::default();
        records.iter().for_each(|record| raw.push(|bytes| bytes.extend_from_slice(record)));
        raw.places = Places::Lines { numbers: (1..=records.len() as u64).collect() };
        Changes { form: form.clone(), errors }.unpack(raw)
    }

    fn shown(unpacked: &Unpacked) -> Vec<String> {
        let (raw, ops) = (&unpacked.raw, unpacked.raw.ops.as_ref().expect("ops"));
        let image = |i| String::from_utf8_lossy(raw.record(i));
        (0..raw.len()).map(|i| format!("{} {}", ops[i].name(), image(i))).collect()
    }

    const FORMS: [Form; 3] = [
        Form::Debezium { schema: Schema::LeftOut },
        Form::Canal { database: None, table: None },
        Form::Maxwell,
    ];

    #[test]
    fn members_that_did_not_change_are_those_of_the_row_after() {
        let update = br#"{"type":"update","data":{"a":1.10,"b":2,"c":3},"old":{"b":null}}"#;
        let unpacked = unpack(&FORMS[2], ParseErrors::Reported, &[update]);
        assert_eq!(
            shown(&unpacked),
            [r#"-U {"b":null,"a":1.10,"c":3}"#, r#"+U {"a":1.10,"b":2,"c":3}"#]
        );
        assert_eq!(unpacked.raw.places.describe(1), "line 1, change 1");
    }

    #[test]
    fn what_cannot_be_read_is_kept_or_counted() {
        let half = br#"{"op":"u","before":null,"after":{"id":1}}"#;
        let good = br#"{"op":"d","before":{"id":1}}"#;
        let records = [&half[..], b"", b"{", br#"{"op":"x"}"#, good];
        let unpacked = unpack(&FORMS[0], ParseErrors::Reported, &records);
        assert_eq!(shown(&unpacked), [r#"-D {"id":1}"#]);
        let places: Vec<&str> = unpacked.unusable.iter().map(|u| &*u.place).collect();
        assert_eq!(places, ["line 1", "line 3", "line 4"]);
        assert!(unpacked.unusable[0].reason.contains("REPLICA IDENTITY FULL"));
        let unpacked = unpack(&FORMS[0], ParseErrors::Ignored, &records);
        assert_eq!((unpacked.unusable.len(), unpacked.counts.skipped), (0, 3));
    }

    #[test]
    fn damaged_messages() {
        let good = [
            &br#"{"op":"u","before":{"id":1},"after":{"id":2}}"#[..],
            br#"{"type":"UPDATE","data":[{"a":1,"b":2}],"old":[{"a":0}],"database":"x"}"#,
            br#"{"type":"update","data":{"a":1,"b":{"c":[1]}},"old":{"b":{"c":[]}}}"#,
        ];
        each_seed(0..by_tier(300, 300, 20_000), |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for (form, good) in FORMS.iter().zip(good) {
                let mut bytes = good.to_vec();
                damage(&mut rng, &mut bytes, b"\"\"\\{}[]:,0-e. nul\xff\xc3");
                let unpacked = unpack(form, ParseErrors::Reported, &[&bytes, good]);
                let ops = unpacked.raw.ops.as_ref().expect("ops");
                assert_eq!(ops.len(), unpacked.raw.len());
                assert!(ops.len() >= 2, "what follows is read");
            }
        });
    }
}

//! Functions over ARRAY, MAP, ROW and MULTISET: what may be asked of values that hold others?
//!
//! A family file lists its functions as [`Definition`]s; this file makes DataFusion functions of them. `flink_types` casts
//! the arguments to what [`arguments`] says, by Flink's rules, so that a function sees its own types. What always holds: a
//! function works on whole columns, by computing which elements go where and taking them; the elements of sliced or NULL
//! values are never looked at.

mod access;
mod arrays;
mod constructors;
mod field;
mod maps;
mod text;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::sql::flink_types::common_type;
use crate::sql::nested_types::map_types;
use crate::sql::types::sql_name;
use crate::state::key::{KeyBuf, encode_keys, is_key_type};

pub use access::ELEMENT;
pub use constructors::{ARRAY, MAP, ROW};
pub use field::FIELD;

/// One function.
pub struct Definition {
    pub name: &'static str,
    /// How many arguments it takes.
    pub takes: std::ops::RangeInclusive<usize>,
    /// The types its arguments are cast to, given those in the query.
    pub arguments: fn(&[DataType]) -> std::result::Result<Vec<DataType>, String>,
    /// Its type, given those of its arguments.
    pub result: fn(&[DataType]) -> DataType,
    pub run: fn(&Call<'_>) -> std::result::Result<ArrayRef, String>,
}

fn families() -> impl Iterator<Item = &'static Definition> {
    let others = [&crate::sql::functions::json::ARRAY_QUERY, &crate::sql::functions::printf::PRINTF];
    access::ALL
        .iter()
        .chain([&access::EQUAL_NESTED])
        .chain(&arrays::ALL)
        .chain(&constructors::ALL)
        .chain(&maps::ALL)
        .chain(&text::ALL)
        .chain(others)
}

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    families().map(udf).chain([field::udf()])
}

fn udf(definition: &'static Definition) -> ScalarUDF {
    ScalarUDF::from(Nested { definition, name: definition.name, signature: Signature::user_defined(Volatility::Immutable) })
}

/// The comparison of two nested values.
pub fn equal() -> Arc<ScalarUDF> {
    Arc::new(udf(&access::EQUAL_NESTED))
}

/// The types that the arguments of a function are cast to; None if the function is none of these.
pub fn arguments(name: &str, given: &[DataType]) -> Option<std::result::Result<Vec<DataType>, String>> {
    let definition = families().find(|d| d.name == name)?;
    let title = || name.trim_matches(['(', ')']).to_uppercase();
    if !definition.takes.contains(&given.len()) {
        let (min, max) = (definition.takes.start(), definition.takes.end());
        let wanted = match max {
            max if max == min => min.to_string(),
            &usize::MAX => format!("at least {min}"),
            max => format!("{min} to {max}"),
        };
        return Some(Err(format!("'{}' takes {wanted} arguments, not {}", title(), given.len())));
    }
    let wanted = (definition.arguments)(given);
    Some(wanted.map_err(|reason| {
        let types: Vec<String> = given.iter().map(sql_name).collect();
        format!("'{}' does not take ({}): {reason}", title(), types.join(", "))
    }))
}

/// Refuses what Flink refuses by the value of a constant.
pub fn check(name: &str, args: &[Expr]) -> Result<()> {
    if name == ELEMENT
        && let [_, Expr::Literal(ScalarValue::Int32(Some(index @ ..1)), _)] = args
    {
        return plan_err!("Array element access needs an index starting at 1 but was {index}.");
    }
    Ok(())
}

/// A call under way.
pub struct Call<'a> {
    pub args: &'a [ArrayRef],
    pub rows: usize,
    pub result: &'a DataType,
}

impl<'a> Call<'a> {
    pub fn list(&self, at: usize) -> &'a ListArray {
        self.args[at].as_list()
    }
    pub fn map(&self, at: usize) -> &'a MapArray {
        self.args[at].as_map()
    }
    /// The rows in which none of the arguments is NULL.
    pub fn valid(&self) -> Option<NullBuffer> {
        self.args.iter().fold(None, |all, a| NullBuffer::union(all.as_ref(), a.nulls()))
    }
}

struct Nested {
    definition: &'static Definition,
    name: &'static str,
    signature: Signature,
}

impl std::fmt::Debug for Nested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
impl PartialEq for Nested {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Nested {}
impl std::hash::Hash for Nested {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Nested {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match arguments(self.name, given) {
            Some(Ok(types)) => Ok((self.definition.result)(&types)),
            Some(Err(reason)) => plan_err!("{reason}"),
            None => plan_err!("'{}' is not known", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        match (self.definition.run)(&Call { args: &arrays, rows, result: args.return_field.data_type() }) {
            Ok(array) => Ok(ColumnarValue::Array(array)),
            Err(reason) => exec_err!("{}: {reason}", self.name.trim_matches(['(', ')']).to_uppercase()),
        }
    }
}

/// The fields of rows; those of a row that is NULL are NULL.
pub fn row_fields(rows: &StructArray) -> Vec<ArrayRef> {
    rows.columns().iter().map(|field| masked(field, rows.nulls())).collect()
}

/// A column with more NULLs.
fn masked(column: &ArrayRef, nulls: Option<&NullBuffer>) -> ArrayRef {
    let Some(nulls) = nulls.filter(|n| n.null_count() > 0) else { return column.clone() };
    let all = NullBuffer::union(column.nulls(), Some(nulls));
    match column.to_data().into_builder().nulls(all).build() {
        Ok(data) => make_array(data),
        // The lengths agree, so this does not happen.
        Err(_) => column.clone(),
    }
}

/// The elements that a list's offsets reach, and the offsets into them.
pub fn reached(list: &ListArray) -> (ArrayRef, OffsetBuffer<i32>) {
    let offsets = list.offsets();
    let (from, to) = (offsets[0], offsets[offsets.len() - 1]);
    let moved = offsets.iter().map(|o| o - from).collect::<Vec<_>>();
    (list.values().slice(from as usize, (to - from) as usize), OffsetBuffer::new(ScalarBuffer::from(moved)))
}

/// Elements of several columns behind one another, for [`Lists`].
pub struct Pool {
    pub elements: ArrayRef,
    /// Where each column begins.
    pub starts: Vec<u32>,
}

impl Pool {
    pub fn new(columns: &[&ArrayRef]) -> std::result::Result<Pool, String> {
        let mut starts = Vec::with_capacity(columns.len());
        let mut total = 0usize;
        for column in columns {
            starts.push(u32::try_from(total).map_err(|_| "too many elements")?);
            total += column.len();
        }
        let parts: Vec<&dyn Array> = columns.iter().map(|c| &***c).collect();
        Ok(Pool { elements: concat(&parts).map_err(|e| e.to_string())?, starts })
    }

    /// The bytes that say which elements are equal, and how they sort.
    pub fn keys(&self) -> KeyBuf {
        let mut keys = KeyBuf::default();
        encode_keys(std::slice::from_ref(&self.elements), self.elements.len(), &mut keys);
        keys
    }
}

/// Lists of elements of a pool, row by row.
pub struct Lists {
    indices: Vec<u32>,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Lists {
    pub fn new(rows: usize) -> Lists {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Lists { indices: Vec::new(), ends, valid: Vec::with_capacity(rows) }
    }
    pub fn push(&mut self, index: u32) {
        self.indices.push(index);
    }
    pub fn extend(&mut self, indices: impl IntoIterator<Item = u32>) {
        self.indices.extend(indices);
    }
    /// The elements pushed in the row under way.
    pub fn open(&mut self) -> &mut [u32] {
        let from = self.ends.last().map_or(0, |&end| end as usize);
        &mut self.indices[from..]
    }
    pub fn close(&mut self) {
        self.end(true);
    }
    pub fn null(&mut self) {
        self.end(false);
    }
    fn end(&mut self, valid: bool) {
        // Indices are of a pool, whose lists have 32-bit offsets; a row repeats none of them more than twice.
        self.ends.push(i32::try_from(self.indices.len()).unwrap_or(i32::MAX));
        self.valid.push(valid);
    }

    pub fn finish(self, pool: &Pool, result: &DataType) -> std::result::Result<ArrayRef, String> {
        let DataType::List(item) = result else { return Err("not a list".into()) };
        if i32::try_from(self.indices.len()).is_err() {
            return Err("too many elements".into());
        }
        let values = take(&pool.elements, &UInt32Array::from(self.indices), None).map_err(|e| e.to_string())?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let nulls = Some(NullBuffer::from(self.valid)).filter(|n| n.null_count() > 0);
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls).map_err(|e| e.to_string())?))
    }
}

/// Takes one element a row, None for NULL.
fn pick(values: &ArrayRef, indices: Vec<Option<u32>>) -> std::result::Result<ArrayRef, String> {
    take(values, &UInt32Array::from(indices), None).map_err(|e| e.to_string())
}

/// True if values of the type can be told apart and sorted.
pub fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_comparable(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_comparable(f.data_type())),
        DataType::Map(..) => map_types(data_type).is_some_and(|(k, v)| is_comparable(k) && is_comparable(v)),
        other => is_key_type(other),
    }
}

/// The type of an array's elements.
fn element(data_type: &DataType) -> std::result::Result<&DataType, String> {
    match data_type {
        DataType::List(item) => Ok(item.data_type()),
        other => Err(format!("{} is no ARRAY", sql_name(other))),
    }
}

fn meet(types: &[DataType]) -> std::result::Result<DataType, String> {
    let mut to = DataType::Null;
    for data_type in types {
        to = common_type(&to, data_type)
            .ok_or_else(|| format!("{} and {} have no type in common", sql_name(&to), sql_name(data_type)))?;
    }
    if to.is_null() { Err("NULL alone has no type: CAST it".into()) } else { Ok(to) }
}

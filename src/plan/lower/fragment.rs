//! What is known of a chain that is being built: its columns, their part in windows, and what its
//! rows are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, SchemaRef};
use datafusion_common::{DFSchema, DFSchemaRef};
use datafusion_expr::Expr;

use super::{PlanResult, unsupported};
use crate::operator::window::slice::WindowKind;
use crate::sql::catalog::{is_proctime, is_rowtime};
use crate::sql::functions::not_null;
use crate::sql::window_tvf::{TvfWindow, WindowForm};
use crate::time::zone::Zone;

/// What a column is, as far as windows are concerned, and ranks in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Plain,
    WindowStart,
    WindowEnd,
    WindowTime,
    /// The n-th PARTITION BY column of a SESSION.
    SessionKey(usize),
    /// The number of a window Top-N with so many of these columns beside the window's.
    Rank(usize),
    /// One of them.
    RankKey(usize),
}

impl Role {
    pub(super) fn is_window(self) -> bool {
        matches!(self, Role::WindowStart | Role::WindowEnd | Role::WindowTime)
    }
}

/// The window that fired rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fired {
    /// The zone in which the window lies; None: on the rowtime as it is.
    pub(super) zone: Option<Zone>,
    /// How the windows lie: rows of two window functions meet only in the windows of one shape.
    pub(super) windows: TvfWindow,
}

impl Fired {
    pub(super) fn new(zone: Option<Zone>, window: &TvfWindow) -> Fired {
        let windows = match window {
            // Its columns have other names on the other side.
            TvfWindow::Session { gap_ms, .. } => {
                TvfWindow::Session { gap_ms: *gap_ms, partition: vec![] }
            }
            sliced => sliced.clone(),
        };
        Fired { zone, windows }
    }

    /// No two windows of a key have the same start.
    pub(super) fn start_is_unique(&self) -> bool {
        matches!(&self.windows, TvfWindow::Sliced(w) if !matches!(w.kind, WindowKind::Cumulate { .. }))
    }
}

/// The name of a rowtime that the plan does not name. No SQL column can be called that.
pub(super) const HIDDEN_ROWTIME: &str = "(rowtime)";

/// What becomes of rows that are late for their windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Late {
    /// They are rows like others.
    #[default]
    Kept,
    /// They count no more, since rows are used within their windows.
    Dropped,
}

/// A window function whose columns are still virtual.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) window: TvfWindow,
    pub(super) form: WindowForm,
    /// Index of the rowtime in the batches.
    pub(super) rowtime: usize,
    /// The rowtime follows the plan's columns in the batches: the plan has dropped it, the window
    /// needs it.
    pub(super) hidden_rowtime: Option<FieldRef>,
    /// What becomes of late rows, by what is done with the rows above.
    pub(super) late: Late,
}

/// A chain being built: the plan node it has come to.
pub(super) struct Fragment {
    pub(super) chain: usize,
    pub(super) schema: DFSchemaRef,
    pub(super) roles: Vec<Role>,
    /// The window function whose columns are still virtual.
    pub(super) pending: Option<Pending>,
    /// The window that fired the rows.
    pub(super) fired: Option<Fired>,
    /// Columns that identify a row within its window (of changes: a row), if known.
    pub(super) key: Option<BTreeSet<usize>>,
    /// Rows may be updated and deleted.
    pub(super) updates: bool,
    /// The changes of a row of that key come from several workers: nothing says in which order.
    pub(super) scattered: bool,
    /// Its watermark is the clock: windows are of processing time.
    pub(super) on_clock: bool,
    /// Its columns are no time attributes, whatever their fields say: a regular join sends rows
    /// again long after their time.
    pub(super) is_timeless: bool,
    /// A Top-N has let out only the rows whose numbers the filter above asks for.
    pub(super) is_within_bound: bool,
}

impl Fragment {
    /// A chain with plain columns, of which nothing is known.
    pub(super) fn new(chain: usize, schema: &DFSchemaRef) -> Fragment {
        Fragment {
            chain,
            schema: schema.clone(),
            roles: vec![Role::Plain; schema.fields().len()],
            pending: None,
            fired: None,
            key: None,
            updates: false,
            scattered: false,
            on_clock: false,
            is_timeless: false,
            is_within_bound: false,
        }
    }

    /// Whether a column is event time, by which rows are in order but for the delay of their
    /// watermark.
    pub(super) fn is_rowtime(&self, column: usize) -> bool {
        !self.is_timeless && is_rowtime(self.schema.field(column))
    }

    /// Whether a column is the time at which rows are looked at.
    pub(super) fn is_proctime(&self, column: usize) -> bool {
        !self.is_timeless && is_proctime(self.schema.field(column))
    }

    /// The field of a rowtime that the plan has dropped and a window needs.
    pub(super) fn hidden_rowtime(&self) -> Option<&FieldRef> {
        self.pending.as_ref()?.hidden_rowtime.as_ref()
    }

    /// Says that columns have been put into the batches at `before`: a rowtime behind them has
    /// moved.
    pub(super) fn insert_columns(&mut self, before: usize, count: usize) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.rowtime >= before) {
            pending.rowtime += count;
        }
    }

    /// Whether a column is known by its role alone and absent from the batches.
    pub(super) fn is_virtual(&self, column: usize) -> bool {
        self.pending.is_some() && self.roles[column].is_window()
    }

    /// Whether changes of one row come from several workers once its rows have been dealt out by
    /// these columns: where they are no part of the row's key, an update may move it.
    pub(super) fn scatters(&self, partition: &[usize]) -> bool {
        let stays = self
            .key
            .as_ref()
            .is_some_and(|key| partition.iter().all(|column| key.contains(column)));
        self.updates && (self.scattered || !stays)
    }

    /// The columns that batches have.
    pub(super) fn batch_schema(&self) -> PlanResult<DFSchema> {
        debug_assert_eq!(self.roles.len(), self.schema.fields().len(), "each column has a role");
        let fields = self.schema.iter().enumerate().filter(|(i, _)| !self.is_virtual(*i));
        let visible = fields.map(|(_, (q, f))| (q.cloned(), plain(f)));
        let hidden = self.hidden_rowtime().map(|f| (None, f.clone()));
        DFSchema::new_with_metadata(visible.chain(hidden).collect(), HashMap::new())
    }

    pub(super) fn arrow_schema(&self) -> PlanResult<SchemaRef> {
        Ok(self.batch_schema()?.inner().clone())
    }

    /// The batch column of a plan column.
    pub(super) fn batch_index(&self, column: usize) -> usize {
        (0..column).filter(|&c| !self.is_virtual(c)).count()
    }

    /// The role of the column that an expression merely names; what it computes is plain.
    pub(super) fn role_of(&self, expression: &Expr) -> PlanResult<Role> {
        Ok(match self.column_of(expression)? {
            Some(column) => self.roles[column],
            None => Role::Plain,
        })
    }

    /// The plan column that an expression merely names.
    pub(super) fn column_of(&self, expression: &Expr) -> PlanResult<Option<usize>> {
        column_of(expression, &self.schema)
    }

    /// Window columns that exist only after the aggregation cannot be computed with before it.
    pub(super) fn refuse_virtual(&self, expression: &Expr) -> PlanResult<()> {
        for column in expression.column_refs() {
            if self.schema.maybe_index_of_column(column).is_some_and(|c| self.is_virtual(c)) {
                return unsupported(format!(
                    "'{}' of a window is used before the rows are aggregated; group by window_start and window_end first",
                    column.name
                ));
            }
        }
        Ok(())
    }
}

/// Columns of a plan as batches have them where none is virtual.
pub(super) fn plain_schema(schema: &DFSchema) -> PlanResult<DFSchema> {
    DFSchema::new_with_metadata(
        schema.iter().map(|(q, f)| (q.cloned(), plain(f))).collect(),
        HashMap::new(),
    )
}

/// Metadata marks time attributes for the binder only; batches carry none.
fn plain(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), field.data_type().clone(), true))
}

/// The column of a schema that an expression merely names.
pub(super) fn column_of(expression: &Expr, schema: &DFSchema) -> PlanResult<Option<usize>> {
    match expression {
        Expr::Alias(alias) => column_of(&alias.expr, schema),
        Expr::Column(column) => Ok(Some(schema.index_of_column(column)?)),
        // It checks a column and leaves it as it is.
        checked => not_null::inside(checked).map_or(Ok(None), |inner| column_of(inner, schema)),
    }
}

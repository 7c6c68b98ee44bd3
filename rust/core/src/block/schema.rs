//! The columns of the table that a block is inserted into: the one place that names them on this side.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Run,
    Metric,
    Rank,
    Attempt,
    Step,
    Time,
    Value,
    Writer,
    Seq,
    Received,
}

/// A column of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    /// ClickHouse's name of the type.
    pub kind: &'static str,
    pub field: Field,
}

const fn column(name: &'static str, kind: &'static str, field: Field) -> Column {
    Column { name, kind, field }
}

/// In the order of the table.
pub const COLUMNS: [Column; 10] = [
    column("run", "UInt64", Field::Run),
    column("metric", "UInt64", Field::Metric),
    column("rank", "UInt32", Field::Rank),
    column("attempt", "UInt32", Field::Attempt),
    column("step", "Int64", Field::Step),
    column("time", "DateTime64(3)", Field::Time),
    column("value", "Float64", Field::Value),
    column("writer", "UInt128", Field::Writer),
    column("seq", "UInt64", Field::Seq),
    column("received", "DateTime", Field::Received),
];

impl Field {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Field::Rank | Field::Attempt | Field::Received => 4,
            Field::Run | Field::Metric | Field::Step | Field::Time | Field::Value | Field::Seq => 8,
            Field::Writer => 16,
        }
    }
}

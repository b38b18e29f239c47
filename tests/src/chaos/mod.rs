//! Writers and faults of the chaos test.

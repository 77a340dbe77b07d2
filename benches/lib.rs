//! Criterion benches, ours beside the peers in one run. See BENCHMARKS.md for figures and commands.

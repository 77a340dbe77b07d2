//! Reads and writes durations as people write them, and finds the nearest name for a misspelt one.

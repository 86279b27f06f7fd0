//! The city.

fn main() {}

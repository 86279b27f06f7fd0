//! All decisions of the city.

//! Servers that come, go and come back under load.

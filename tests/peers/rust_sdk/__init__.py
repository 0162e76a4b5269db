"""Conversations of matrix-rust-sdk, the core of Element X, with this server; scripts/rust-sdk builds what they import."""

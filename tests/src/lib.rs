//! The room of end-to-end, fault and conformance tests. It has no code of its own: see `e2e/` and `tidy/`.

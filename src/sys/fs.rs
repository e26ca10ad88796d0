//! Files: what std lacks.

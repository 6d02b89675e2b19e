//! What tests share.

pub mod clock;
pub mod faulty;
pub mod world;

//! What can be seen of a running job from outside?

pub mod health;

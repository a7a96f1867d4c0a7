//! The laboratory's program: one [`Desk`] per worker (`web/engine/lab-worker.js`). A request is a plain object, points are a
//! `Float32Array` of coordinates.

mod ask;
mod desk;
mod draw;
mod learn;

pub use desk::Desk;

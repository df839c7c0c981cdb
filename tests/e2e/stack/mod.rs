//! What is in `deploy/`: its files are what the tools they are for take, and what dashboards and alerts ask is answered.

mod files;
mod jaeger;
mod machines;
mod measured;
mod newer_nats;
mod panels;
mod prometheus;

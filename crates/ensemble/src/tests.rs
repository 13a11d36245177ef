mod decoupled;
mod fan_out;
mod fit;
mod kit;
mod outcomes;
mod properties;
mod run;
mod shapes;

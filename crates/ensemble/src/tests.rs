mod decoupled;
mod fan_out;
mod fit;
mod kit;
mod properties;
mod run;
mod shapes;

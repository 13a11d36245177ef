//! Repository agents: they check a model's files before the model is loaded. The config names them.

mod checksum;

use std::path::Path;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{FaultKind, ModelConfig};

use crate::faults::about;

/// The agents that this server has.
const KNOWN: [&str; 1] = [checksum::NAME];

/// Runs the agents that the config names, in its order, on the model's folder. The first refusal is returned as the error.
pub fn run(model: &str, folder: &Path, config: &ModelConfig) -> Result<()> {
    let Some(agents) = &config.model_repository_agents else { return Ok(()) };
    for agent in &agents.agents {
        let parameters = agent.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        checksum::run(model, folder, parameters)?;
    }
    Ok(())
}

/// Refuses a config that names an agent which this server does not have.
pub fn refuse_unknown(model: &str, config: &ModelConfig) -> Result<()> {
    let Some(agents) = &config.model_repository_agents else { return Ok(()) };
    match agents.agents.iter().find(|agent| !KNOWN.contains(&agent.name.as_str())) {
        None => Ok(()),
        Some(agent) => {
            let error = Error::unsupported(format!(
                "model '{model}' wants the repository agent '{}', which this server does not have; it has {}",
                agent.name,
                KNOWN.join(", ")
            ));
            Err(about(error, "model_repository_agents", FaultKind::Other))
        }
    }
}

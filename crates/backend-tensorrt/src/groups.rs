//! Which profiles an instance has.

use hippocamp_backend::{Error, InstanceSpec, Result};
use hippocamp_model_config::ModelConfig;
use hippocamp_proto::inference::ModelInstanceGroup;

/// The profiles that the config gives the instance, in the order of the plan: those that its group lists, else all.
pub(crate) fn profiles(spec: &InstanceSpec, profile_count: usize) -> Result<Vec<usize>> {
    let listed = group(&spec.config, spec.index).map(|group| group.profile.as_slice()).unwrap_or_default();
    if listed.is_empty() {
        return Ok((0..profile_count).collect());
    }
    let mut profiles = listed
        .iter()
        .map(|text| {
            let number = text.trim().parse::<usize>().ok();
            number.filter(|number| *number < profile_count).ok_or_else(|| {
                Error::invalid_arg(format!(
                    "unable to load model '{}', the profiles of an instance_group were expected to be numbers from 0 to {}, got \
                     '{text}'",
                    spec.config.name,
                    profile_count - 1
                ))
            })
        })
        .collect::<Result<Vec<usize>>>()?;
    profiles.sort_unstable();
    profiles.dedup();
    Ok(profiles)
}

/// The group of the instance with that number, as instances are counted: by groups, their devices, and their counts.
fn group(config: &ModelConfig, index: usize) -> Option<&ModelInstanceGroup> {
    let mut end = 0;
    config.instance_group.iter().filter(|group| !group.passive).find(|group| {
        end += group.gpus.len().max(1) * usize::try_from(group.count).unwrap_or(0).max(1);
        index < end
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hippocamp_backend::Device;
    use hippocamp_model_config::parse;

    use super::*;

    fn profiles_of(index: usize) -> Result<Vec<usize>> {
        let text = r#"name: "m"
            instance_group [
              { count: 2 kind: KIND_GPU gpus: [ 0, 1 ] profile: [ "2", "0", "2" ] },
              { count: 1 kind: KIND_GPU gpus: [ 0 ] },
              { count: 1 kind: KIND_GPU gpus: [ 0 ] profile: [ "3" ] }
            ]"#;
        let spec = InstanceSpec {
            name: "m_0".to_owned(),
            index,
            device: Device::Gpu(0),
            config: Arc::new(parse(text, "c").unwrap().config),
            interface: Arc::default(),
        };
        profiles(&spec, 3)
    }

    #[test]
    fn each_group_has_its_own_profiles() {
        assert_eq!(profiles_of(0).unwrap(), [0, 2]);
        assert_eq!(profiles_of(3).unwrap(), [0, 2]);
        assert_eq!(profiles_of(4).unwrap(), [0, 1, 2]);
        assert_eq!(
            profiles_of(5).unwrap_err().message(),
            "unable to load model 'm', the profiles of an instance_group were expected to be numbers from 0 to 2, got '3'"
        );
    }
}

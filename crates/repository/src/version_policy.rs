//! Which versions of a model are served.

use std::collections::BTreeSet;

use hippocamp_proto::inference::ModelVersionPolicy;
use hippocamp_proto::inference::model_version_policy::PolicyChoice;

/// Applies a version policy to the versions that are there. Without a policy the latest is served.
pub fn select_versions(available: &BTreeSet<u64>, policy: Option<&ModelVersionPolicy>) -> BTreeSet<u64> {
    let latest = |count: usize| available.iter().rev().take(count).copied().collect();
    match policy.and_then(|p| p.policy_choice.as_ref()) {
        None => latest(1),
        Some(PolicyChoice::Latest(policy)) => latest(policy.num_versions.max(1) as usize),
        Some(PolicyChoice::All(_)) => available.clone(),
        Some(PolicyChoice::Specific(policy)) => {
            let wanted = policy.versions.iter().filter_map(|&v| u64::try_from(v).ok());
            wanted.filter(|v| available.contains(v)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_proto::inference::model_version_policy::{All, Latest, Specific};

    use super::*;

    fn selected(choice: PolicyChoice) -> Vec<u64> {
        let policy = ModelVersionPolicy { policy_choice: Some(choice) };
        select_versions(&BTreeSet::from([1, 3, 7]), Some(&policy)).into_iter().collect()
    }

    #[test]
    fn follows_the_policy() {
        assert_eq!(select_versions(&BTreeSet::from([2, 5]), None), BTreeSet::from([5]));
        assert_eq!(select_versions(&BTreeSet::new(), None), BTreeSet::new());
        assert_eq!(selected(PolicyChoice::Latest(Latest { num_versions: 2 })), [3, 7]);
        assert_eq!(selected(PolicyChoice::Latest(Latest { num_versions: 0 })), [7]);
        assert_eq!(selected(PolicyChoice::All(All {})), [1, 3, 7]);
        assert_eq!(selected(PolicyChoice::Specific(Specific { versions: vec![7, 2, -1, 1] })), [1, 7]);
    }
}

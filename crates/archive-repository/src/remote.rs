//! The archives as a repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_archive::ServedModel;
use hippocamp_repository::{Fingerprint, RemoteFault, RemoteModel, RemoteRepository, RemoteTimeout};

use crate::archives::{Archives, tell};
use crate::served::Served;
use crate::unpacked::unpack;

/// How messages call this repository.
const LOCATION: &str = "archives";

impl RemoteRepository for Archives {
    fn location(&self) -> &str {
        LOCATION
    }

    fn list(&self, _: RemoteTimeout) -> Result<BTreeMap<String, Fingerprint>, RemoteFault> {
        let mut models = BTreeMap::new();
        let (served, fault) = self.surveyed();
        // Archives that cannot be seen are not gone.
        if let Some(fault) = fault {
            return Err(RemoteFault(fault.to_string()));
        }
        for served in served {
            match &served.converted.conversion {
                // A model that is registered without instances is not to be loaded.
                _ if served.registration.workers == Some(0) => {}
                Ok(conversion) => {
                    let each = conversion.models.iter();
                    models.extend(each.map(|(name, model)| (name.clone(), fingerprint(&served, model))));
                }
                // It fails with the reason when it is loaded.
                Err(fault) => {
                    models.insert(
                        served.registration.model.clone(),
                        Fingerprint::of(&(served.converted.stamp, fault)),
                    );
                }
            }
        }
        Ok(models)
    }

    fn contains(&self, name: &str) -> Result<bool, RemoteFault> {
        Ok(find(self, name).is_some())
    }

    fn config(&self, name: &str, _: Option<&str>) -> Result<Option<String>, RemoteFault> {
        let Some(served) = find(self, name) else { return Ok(None) };
        let model =
            served.converted.conversion.as_ref().ok().and_then(|conversion| conversion.models.get(name));
        Ok(Some(model.map_or_else(String::new, ServedModel::config_text)))
    }

    fn fetch(&self, name: &str) -> Result<Option<RemoteModel>, RemoteFault> {
        let Some(served) = find(self, name) else { return Ok(None) };
        let conversion = served.converted.conversion.as_ref().map_err(|fault| RemoteFault(fault.clone()))?;
        let Some(model) = conversion.models.get(name) else { return Ok(None) };
        let registration = &served.registration;
        // Of one that was registered it was told then.
        if registration.id == 0 && *name == *conversion.network {
            tell(&registration.model, &registration.url, conversion);
        }
        let files = Arc::new(unpack(&served.converted.path, model)?);
        Ok(Some(RemoteModel { fingerprint: fingerprint(&served, model), files }))
    }
}

/// The archive that a model comes from.
fn find(archives: &Archives, name: &str) -> Option<Served> {
    archives.served().into_iter().find(|served| served.has_model(name))
}

fn fingerprint(served: &Served, model: &ServedModel) -> Fingerprint {
    let texts: Vec<String> = model.files.iter().map(|file| format!("{file:?}")).collect();
    Fingerprint::of(&(served.converted.stamp, model.config_text(), texts))
}

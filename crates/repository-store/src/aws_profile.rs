//! The files that `aws configure` writes: `credentials` and `config`, one section a profile.

use std::path::{Path, PathBuf};

use hippocamp_files as files;

use crate::credentials::{Secret, Variables, variable};

/// What a profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) key_id: Option<String>,
    pub(crate) secret_key: Option<Secret>,
    pub(crate) session_token: Option<Secret>,
    pub(crate) region: Option<String>,
}

/// Reads a profile from both files. The credentials' file comes first where both say the same.
pub(crate) fn read(name: &str, variables: Variables<'_>) -> Result<Profile, String> {
    let home = variable(variables, "HOME").map(PathBuf::from);
    let place = |named: &str, usual: &str| {
        let named = variable(variables, named).map(PathBuf::from);
        named.or_else(|| Some(home.as_ref()?.join(".aws").join(usual)))
    };
    let files = [place("AWS_SHARED_CREDENTIALS_FILE", "credentials"), place("AWS_CONFIG_FILE", "config")];
    let mut profile = Profile::default();
    let mut found = false;
    for path in files.iter().flatten() {
        found |= read_file(path, name, &mut profile)?;
    }
    let looked: Vec<String> = files.iter().flatten().map(|path| format!("'{}'", path.display())).collect();
    if found { Ok(profile) } else { Err(format!("there is no profile '{name}' in {}", looked.join(" or "))) }
}

/// Whether the file has that profile.
fn read_file(path: &Path, name: &str, profile: &mut Profile) -> Result<bool, String> {
    match files::read_text(path, files::TEXT_LIMIT) {
        Ok(text) => Ok(parse(&text, name, profile)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(format!("failed to read '{}': {e}", path.display())),
    }
}

fn parse(text: &str, name: &str, profile: &mut Profile) -> bool {
    let (mut inside, mut found) = (false, false);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default().trim();
            inside = section.strip_prefix("profile ").map_or(section, str::trim) == name;
            found |= inside;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
        let value = value.trim().to_owned();
        match key.trim() {
            _ if value.is_empty() => {}
            "aws_access_key_id" => drop(profile.key_id.get_or_insert(value)),
            "aws_secret_access_key" => drop(profile.secret_key.get_or_insert(Secret(value))),
            "aws_session_token" => drop(profile.session_token.get_or_insert(Secret(value))),
            "region" => drop(profile.region.get_or_insert(value)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_section_of_the_profile_alone() {
        let text = "; a comment\n[one]\naws_access_key_id=1\n\n[ profile two ]\n aws_access_key_id = 2 \n\
                    # another\nregion=r\nnonsense\n[three]\nregion = s";
        let mut profile = Profile::default();
        assert!(parse(text, "two", &mut profile));
        let expected = Profile { key_id: Some("2".into()), region: Some("r".into()), ..Profile::default() };
        assert_eq!(profile, expected);
        assert!(!parse(text, "four", &mut Profile::default()));
        assert!(!parse("\u{0}[", "four", &mut Profile::default()));
    }
}

//! The error codes of the provider, each with what it means here and what to do.

/// One code, explained in English and traditional Chinese.
pub(super) struct Explained {
    pub code: &'static str,
    en: &'static str,
    zh_hant: &'static str,
}

impl Explained {
    /// The words in a language, by its tag.
    pub fn words(&self, tag: &str) -> &'static str {
        if tag == "zh-Hant" { self.zh_hant } else { self.en }
    }
}

const fn explained(code: &'static str, en: &'static str, zh_hant: &'static str) -> Explained {
    Explained { code, en, zh_hant }
}

/// In the order in which a developer meets them.
pub(super) const OAUTH: [Explained; 23] = [
    explained(
        "invalid_client",
        "The assertion is missing, signed with another key or algorithm, too old, used before, or its aud is not the issuer as one string. Make a new one for each request.",
        "用戶端聲明缺漏、以其他金鑰或演算法簽署、已過期、已用過，或 aud 不是單一字串的發行者。每次請求請重新產生。",
    ),
    explained(
        "invalid_dpop_proof",
        "The DPoP proof is missing, used before, for another address, method or token, or by another key. Sign one for each request.",
        "DPoP 證明缺漏、已用過，或針對其他網址、方法、權杖，或以其他金鑰簽署。每次請求請重新簽署。",
    ),
    explained(
        "use_dpop_nonce",
        "The DPoP proof has to carry the nonce of the header DPoP-Nonce. Sign it again with that nonce, and a new assertion beside it.",
        "DPoP 證明須包含 DPoP-Nonce 標頭所列的 nonce。請以該值重新簽署，並附上新的用戶端聲明。",
    ),
    explained(
        "invalid_request",
        "A parameter is missing, repeated or malformed; a service of the profile fapi2 has to push its request first. The description names the parameter.",
        "參數缺漏、重複或格式不符；fapi2 服務必須先推送請求。說明欄會指出是哪個參數。",
    ),
    explained(
        "unsupported_response_type",
        "Only the response type code is served. Ask for it.",
        "僅提供 code 回應類型。請改用該類型。",
    ),
    explained(
        "request_not_supported",
        "Request objects are not read. Push the parameters instead.",
        "不接受請求物件。請改為推送參數。",
    ),
    explained(
        "invalid_scope",
        "The scope lacks openid, or names a mandate that is unknown, not in force, or not of this service. See the public register.",
        "範圍缺少 openid，或所列授權令不存在、未生效或不屬於此服務。請查閱公開登記簿。",
    ),
    explained(
        "invalid_authorization_details",
        "A detail has another type, an unknown member, or a block that the mandate does not name. Compare it with the mandate.",
        "詳細項目的類型不符、含有未知欄位，或資料項目不在授權令之內。請與授權令比對。",
    ),
    explained(
        "invalid_grant_id",
        "merge and replace need the grant_id that this service got for this resident. Leave it out to begin anew.",
        "merge 與 replace 需要此服務就該市民取得的 grant_id。重新開始時請省略。",
    ),
    explained(
        "login_required",
        "prompt=none was asked and nobody is signed in, or not recently or strongly enough. Ask without it.",
        "要求 prompt=none，但無人登入，或登入不夠新或不夠強。請勿使用該參數再試。",
    ),
    explained(
        "consent_required",
        "prompt=none was asked and the resident has to agree first. Ask without it.",
        "要求 prompt=none，但市民須先同意。請勿使用該參數再試。",
    ),
    explained(
        "interaction_required",
        "prompt=none was asked while the resident acts for somebody else, and she has to choose for whom. Ask without it.",
        "要求 prompt=none，但市民正在代理他人，須先選擇為誰辦理。請勿使用該參數再試。",
    ),
    explained(
        "unmet_authentication_requirements",
        "The resident signed in with a card, and a stronger class was asked for. Offer another way to the same service.",
        "市民以卡片登入，而要求的等級更高。請提供同一服務的其他管道。",
    ),
    explained(
        "access_denied",
        "The resident said no, or her pass is deactivated. Do not ask again by yourself.",
        "市民拒絕，或其通行證已停用。請勿自行再次要求。",
    ),
    explained(
        "invalid_grant",
        "The code or token has ended, was used, belongs to another request or key, or what it rested on was withdrawn. Send the resident to sign in again.",
        "授權碼或權杖已失效、已用過、屬於其他請求或金鑰，或其依據已撤回。請讓市民重新登入。",
    ),
    explained(
        "unsupported_grant_type",
        "Use authorization_code, refresh_token or client_credentials.",
        "請使用 authorization_code、refresh_token 或 client_credentials。",
    ),
    explained(
        "unauthorized_client",
        "A service of the profile oidc signs residents in and gets no data. Register it as fapi2, under a mandate.",
        "oidc 服務僅供登入，不得取得資料。請以 fapi2 登記於授權令之下。",
    ),
    explained(
        "invalid_token",
        "The access token has ended, is bound to another key, or its mandate or consent is over. Get a new one.",
        "存取權杖已失效、綁定其他金鑰，或其授權令或同意已終止。請重新取得。",
    ),
    explained(
        "insufficient_scope",
        "The access token is good and lacks the scope that the challenge names. Get one with that scope.",
        "存取權杖有效，但缺少質詢所列的範圍。請取得具該範圍的權杖。",
    ),
    explained(
        "insufficient_user_authentication",
        "The sign-in behind the token is not as sure or as recent as is asked. Send the resident to sign in again, with the acr_values and max_age of the challenge.",
        "權杖所依據的登入方式或登入時間未達要求。請依質詢所列的 acr_values 與 max_age 讓市民重新登入。",
    ),
    explained(
        "server_error",
        "Something broke on our side. Try again in a moment; nothing was released.",
        "我方發生錯誤。請稍後再試；未釋出任何資料。",
    ),
    explained(
        "temporarily_unavailable",
        "The log, the database or the keeper of a key does not answer now, or there were too many requests. Try again after the time that Retry-After names.",
        "日誌、資料庫或金鑰保管人暫時無法回應，或請求過多。請依 Retry-After 所示時間後再試。",
    ),
    explained(
        "too-many",
        "A problem document and no OAuth error: too many requests from one network. Wait for the time that Retry-After names.",
        "此為問題文件而非 OAuth 錯誤：同一網路的請求過多。請等候 Retry-After 所示時間。",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::OAUTH;
    use crate::fault::Fault;

    /// The text of every source file in a folder.
    fn sources(folder: &Path) -> String {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { sources(&path) } else { fs::read_to_string(&path).unwrap() }).collect()
    }

    /// What is written right after `mark`, up to the end of a code.
    fn codes<'a>(text: &'a str, mark: &str) -> impl Iterator<Item = &'a str> {
        let quoted = text.split(mark).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
        quoted.filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next())
    }

    #[test]
    fn what_is_sent_is_explained_and_nothing_else() {
        let text = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/oidc"));
        let challenges = text.replace(r#"error=\""#, r#"error=""#);
        let mut sent: BTreeSet<String> = codes(&text, "OAuthError::new(")
            .chain(codes(&text, "Self::new("))
            .chain(codes(&challenges, "DPoP error="))
            .map(str::to_owned)
            .collect();
        assert!(sent.len() > 15, "{sent:?}");
        let turned_away = Fault::too_many(1).problem();
        sent.insert(turned_away["type"].as_str().unwrap().trim_start_matches("urn:usufruct:problem:").to_owned());
        let explained: BTreeSet<String> = OAUTH.iter().map(|error| error.code.to_owned()).collect();
        assert_eq!(explained, sent);
    }
}

//! The error codes of the provider and the problem types of all other answers, each with what it means here and what to do.

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
pub(super) const OAUTH: [Explained; 22] = [
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
        "A detail has another type, an unknown member, a block that the mandate does not name, or a mandate that is not in force or not of this service. Compare it with the mandate.",
        "詳細項目的類型不符、含有未知欄位、資料項目不在授權令之內，或所列授權令未生效或不屬於此服務。請與授權令比對。",
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
        "A service of the profile oidc signs residents in and gets no data: register it as fapi2, under a mandate. A service that is suspended pushes no request; the public register says why.",
        "oidc 服務僅供登入，不得取得資料：請以 fapi2 登記於授權令之下。已停權的服務不得推送請求；原因見公開登記簿。",
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
];

/// The problem types of `application/problem+json` after `urn:usufruct:problem:`, beside the clauses. In the order in which they are met.
pub(super) const PROBLEMS: [Explained; 26] = [
    explained(
        "malformed",
        "A part of the request is missing, repeated or cannot be read, or names what a form does not have. The detail says which.",
        "請求有部分缺漏、重複或無法讀取，或使用了不存在的欄位。detail 會說明是哪一部分。",
    ),
    explained(
        "not-json",
        "The body has another content type than application/json. Send it as JSON, with that header.",
        "內容類型不是 application/json。請以 JSON 傳送並附上該標頭。",
    ),
    explained(
        "not-otlp",
        "The lines of a system outside come as OTLP in JSON or protobuf. Send one of these, with its content type.",
        "外部系統的紀錄須為 JSON 或 protobuf 格式的 OTLP。請以其中一種格式及對應的內容類型傳送。",
    ),
    explained(
        "wrong-type",
        "The content type is not taken at this address. Send the one that the documentation names.",
        "此網址不接受該內容類型。請使用文件所列的類型。",
    ),
    explained(
        "wrong-method",
        "The address does not take this method. Use one that the header Allow names.",
        "此網址不接受該方法。請使用 Allow 標頭所列的方法。",
    ),
    explained("too-large", "The request is larger than accepted. Send less at once.", "請求超過可接受的大小。請分次傳送。"),
    explained(
        "too-slow",
        "The body did not come within ten seconds, so nothing was done. Send the request again.",
        "內容未在十秒內送達，因此未執行任何動作。請重新送出請求。",
    ),
    explained(
        "unauthenticated",
        "The token or its proof is missing, has ended, or is not for this; WWW-Authenticate says which. Get another token, and sign a proof for each request.",
        "權杖或其證明缺漏、已失效，或不適用於此；WWW-Authenticate 會說明原因。請取得新的權杖，並為每次請求簽署證明。",
    ),
    explained(
        "step-up",
        "The step needs a passkey that was shown in the last five minutes. Show it and come back.",
        "此步驟需要最近五分鐘內出示的通行密鑰。請出示後再回來。",
    ),
    explained(
        "not-given",
        "Who acts for somebody else was not given this, or it has ended. Act for yourself, or ask the person for it.",
        "代理人未獲得此項權限，或該權限已終止。請為自己辦理，或請當事人授予。",
    ),
    explained(
        "foreign-form",
        "A form did not come from a page of the pass, so nothing was done. Open the page and repeat the step.",
        "表單並非來自市民通的頁面，因此未執行任何動作。請開啟該頁面後重新操作。",
    ),
    explained("not-found", "There is no such page or object. Check the address.", "沒有此頁面或物件。請檢查網址。"),
    explained(
        "unknown",
        "There is nothing under this name for you: no such mandate, service, or subject at this service. A subject of before a withdrawal is unknown too.",
        "您可見的範圍內沒有此名稱的授權令、服務或代碼。撤回之前的代碼也視為不存在。",
    ),
    explained(
        "refused",
        "What was asked contradicts what is there. The detail says what, and what to do.",
        "請求與現有狀態衝突。detail 會說明原因與處理方式。",
    ),
    explained(
        "unopened",
        "The use is in the log and what it rested on ended before anything was opened. Nothing was released; ask again to learn why.",
        "此次使用已載入日誌，但其依據在開啟資料前已終止，未釋出任何資料。請重新請求以得知原因。",
    ),
    explained(
        "altered",
        "What is kept of the resident's permission does not fit what she lent. Nothing was released; tell the operator.",
        "所保存的市民同意與其借出的資料不符，未釋出任何資料。請通知營運者。",
    ),
    explained(
        "unlawful",
        "A statement breaks a rule of the register. The detail counts the problems and names the first.",
        "聲明違反登記簿的規則。detail 列出問題數量與第一項問題。",
    ),
    explained(
        "malformed-statement",
        "A statement cannot be written as it stands. The detail says why.",
        "聲明無法依現狀寫入。detail 會說明原因。",
    ),
    explained(
        "unregistered",
        "The sandbox does not take this key or this address. The detail says why.",
        "沙盒不接受此金鑰或網址。detail 會說明原因。",
    ),
    explained(
        "suspended",
        "A resident was sent to a service that is suspended, by its body, by an order, or with its contract. Nobody can sign in until that is over; the public register says since when.",
        "市民被導向已停權的服務：由其機關、監督命令停權，或隨委託契約停權。恢復前無人可以登入；公開登記簿載明停權日期。",
    ),
    explained(
        "too-soon",
        "This was asked a moment ago. Wait for as long as the detail says.",
        "剛才已提出過此請求。請等候 detail 所列的時間。",
    ),
    explained(
        "too-many",
        "There were too many requests of one network or one service. Wait for the time that Retry-After names.",
        "同一網路或同一服務的請求過多。請等候 Retry-After 所示時間。",
    ),
    explained(
        "busy",
        "The register moved, or the database, the log or a keeper does not answer now. Send the same request again after the time that Retry-After names.",
        "登記簿正在變動，或資料庫、日誌、保管人暫時無法回應。請於 Retry-After 所示時間後重送相同請求。",
    ),
    explained(
        "not-taken",
        "None of the lines of a log was taken, because something broke on our side. Send the same request again; lines that were taken before are not counted twice.",
        "我方發生錯誤，未收下任何日誌紀錄。請重送相同請求；先前已收下的紀錄不會重複計算。",
    ),
    explained(
        "keepers",
        "Too few keepers of the root answer, so no key can be made or destroyed now. Try again later; an erasure that was asked for is done by itself.",
        "回應的根金鑰保管者不足，目前無法產生或銷毀金鑰。請稍後再試；已提出的刪除會自動完成。",
    ),
    explained(
        "internal",
        "Something broke on our side. Try again in a moment; nothing was released.",
        "我方發生錯誤。請稍後再試；未釋出任何資料。",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::{OAUTH, PROBLEMS};

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
        let sent: BTreeSet<String> = codes(&text, "OAuthError::new(")
            .chain(codes(&text, "Self::new("))
            .chain(codes(&challenges, "DPoP error="))
            .map(str::to_owned)
            .collect();
        assert!(sent.len() > 15, "{sent:?}");
        let explained: BTreeSet<String> = OAUTH.iter().map(|error| error.code.to_owned()).collect();
        assert_eq!(explained, sent);
    }

    /// The problem types that a source file gives: the literal after the status of a new fault, or the one of a fault for later.
    fn problem_types(text: &str) -> BTreeSet<String> {
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let made = ["Fault::new(", "Self::new("].into_iter().flat_map(|mark| product.split(mark).skip(1));
        let after_status = made.filter_map(|rest| rest.split_once(',')).map(|(_, rest)| rest);
        let later = product.split("Self::later(").skip(1);
        let quoted = after_status.chain(later).filter_map(|rest| rest.trim_start().strip_prefix('"'));
        quoted.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    }

    /// Every source file in a folder that makes problem documents.
    fn files(folder: &Path, found: &mut Vec<String>) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                if path.ends_with("fault.rs") || text.contains("Fault::new(") {
                    found.push(text);
                }
            }
        }
    }

    #[test]
    fn every_problem_type_is_explained_and_nothing_else() {
        let mut found = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let given: BTreeSet<String> = found.iter().flat_map(|text| problem_types(text)).collect();
        assert!(given.len() > 15 && given.contains("keepers") && given.contains("not-json"), "{given:?}");
        let explained: BTreeSet<String> = PROBLEMS.iter().map(|problem| problem.code.to_owned()).collect();
        assert_eq!(explained, given);
        // In both languages, two sentences or a sentence and what it is about.
        for problem in OAUTH.iter().chain(&PROBLEMS) {
            assert!(problem.words("en").ends_with('.') && problem.words("zh-Hant").ends_with('。'), "{}", problem.code);
        }
    }
}

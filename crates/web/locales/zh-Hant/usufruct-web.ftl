# 各頁共用。
pass-name = 市民通
skip-to-content = 跳到主要內容
nav-footprint = 足跡
nav-consents = 同意紀錄
nav-data = 我的資料
nav-account = 帳號
nav-register = 公開登記簿
nav-sign-in = 登入
nav-sign-out = 登出
language-label = 語言
footer-promise = 您的資料每次被使用，都先記入公開日誌，資料才會送出。
footer-log = 日誌
error-title = 沒有成功
error-back = 回到首頁

# 登入與申辦。
sign-in-title = 登入
sign-in-lead = 請使用裝置上的通行金鑰，不需要密碼。
sign-in-button = 以通行金鑰登入
sign-in-no-script = 通行金鑰需要 JavaScript；若未啟用，市府各櫃檯都能為您服務。
sign-in-working = 等待您的裝置回應……
sign-in-failed = 通行金鑰無法使用。請再試一次，或洽櫃檯協助。
sign-in-enrol = 我有邀請碼
enrol-title = 申辦通行證
enrol-lead = 承辦人員給您的紙本上有一組代碼，只能使用一次。
enrol-code = 邀請碼
enrol-code-hint = 十二個英文字母或數字；大小寫、空白與連字號皆可。
enrol-button = 建立通行金鑰
enrol-failed = 無法建立通行金鑰。請確認代碼後再試一次。

# 同意與登出。
consent-title = { $service }想使用您的資料
consent-required = 必要的資料
consent-optional = 您可以另外提供的資料
consent-who = 誰會收到
consent-processor = 受託處理
consent-location = 存放地：
consent-until = 使用期限
consent-kept = 保存期間
consent-law = 法律依據
consent-answers = 負責機關
consent-refusal = 如果您不同意
consent-alternatives = 不用市民通的辦法
consent-more = 進一步說明
consent-register = 公開登記簿上的這份授權令
consent-agree = 同意
consent-not-now = 先不要
consent-withdraw = 您隨時可以在「同意紀錄」一步撤回。
form-token = 僅代碼
form-predicate = 僅是或否
form-value = 內容
sign-out-question = 要登出市民通嗎？
sign-out-done = 您已登出。

# 示範服務。
sample-library = 市立圖書館（示範）
sample-festival = 購物節（示範）
sample-note = 示範服務，登入使用
sample-library-lead = 不用填表就能申辦借閱證。圖書館只向市民通索取必要資料，您同意前會先看到內容。
sample-festival-lead = 不必留下姓名就能集點。購物節由廠商執行，廠商只得到代碼與是或否，其他一概不知。
sample-sign-in = 以市民通登入
sample-known-as = 本服務只知道您的代碼：
sample-read = 向市民通索取資料
sample-released = 市民通已提供
sample-receipt = 這次使用已記入日誌，編號
sample-until = 刪除期限
sample-refused = 市民通拒絕提供
sample-denied = 您選擇先不提供資料，沒有關係；前一頁列有其他辦理方式。
sample-failed = 登入沒有成功，請重新開始。

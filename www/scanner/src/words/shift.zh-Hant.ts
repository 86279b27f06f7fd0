// 結束值班時的話。這份目錄的形狀就是 Words：少一句或多一句，另一種語言就編譯不過。
export const zhHant = {
  people: (count: number) => `進場 ${count} 人`,
  of: (count: number, since: string) => `${since} 起，共掃 ${count} 次`,
  none: "還沒有掃過票",
  parts: { in: "進場", out: "沒有進場", void: "不算在內" },
  lines: {
    admitted: "已確認",
    saved: "離線放行，尚未確認",
    doubled: "進場後發現重複",
    "let-in": "主管放行",
    used: "票已經用過",
    revoked: "票已作廢",
    "too-early": "還沒到時間",
    expired: "已經過期",
    "wrong-gate": "走錯入口",
    unsure: "離線查不到",
    denied: "市場說不能入場",
    "not-let-in": "掃過，人沒有進去",
    refused: "市場不收的紀錄",
    "given-up": "已放棄的紀錄",
  },
  unstored: (count: number) => `有 ${count} 張票掃了，但是沒有存好。人還在就再掃一次；沒有進場就按下面的按鈕。`,
  nobody: "沒有人進場，不用記",
  waiting: (count: number) => `還有 ${count} 張票市場還在查，登出後這支手機看不到結果。`,
  ask: "登出後，這支手機上的登入、票券名單和掃票清單都會清掉，不能復原。確定嗎？",
};

export type Words = typeof zhHant;

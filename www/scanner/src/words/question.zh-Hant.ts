// 看過結果以後的問題。這份目錄的形狀就是 Words：少一句或多一句，另一種語言就編譯不過。
export const zhHant = {
  turnAwayAsk: "他沒有入場。原因是？",
  letInAsk: "主管同意讓他進場嗎？這會記下來。",
  letInSure: "主管同意，放行",
  turnedAway: { id: "沒證件或不是本人", item: "帶了不能帶的東西", left: "自己離開了", mistake: "我按錯了" },
  back: "返回",
};

export type Words = typeof zhHant;

// 需要處理的紀錄。這份目錄的形狀就是 Words：少一句或多一句，另一種語言就編譯不過。
export const zhHant = {
  empty: "沒有要處理的紀錄。",
  refused: "市場不接受這一筆。",
  poison: "市場讀不懂這一筆。",
  expired: "放太久，一直沒有得到回覆。",
  redrive: "再送一次",
  discard: "放棄",
  discardAsk: "真的要放棄嗎？放棄後不會再送出。原因是？",
  reasons: { mistake: "輸入錯誤", handled: "已用別的方式處理" },
  back: "不放棄",
  failed: "沒有成功：",
  sale: "收款",
  scan: "掃票",
};

export type Words = typeof zhHant;
